"""The stages, one module each: what `python -m rlhf.run stage=NAME` runs."""

import os

# Before torch is loaded: its threads wait awake for a moment only. Awake for long, as is their default, they
# take the cores from one another as soon as another process wants some; asleep at once, they wake too late:
# a step of the embedded model on two cores took 36 ms so, 52 ms by default and 73 ms asleep.
os.environ.setdefault("GOMP_SPINCOUNT", "2000")
