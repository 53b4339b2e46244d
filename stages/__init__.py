"""The stages, one module each: what `python -m rlhf.run stage=NAME` runs."""

import os

# Before torch is loaded: its threads sleep while they wait. Awake, they take the cores from one another as
# soon as another process wants some: steps of a small model on a busy machine were six times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
