"""`python -m rlhf.runs`."""

import sys

from rlhf.runs.cli import main

if __name__ == "__main__":
    sys.exit(main())
