"""`python -m feedback_ui`."""

import sys

from feedback_ui.cli import main

if __name__ == "__main__":
    sys.exit(main())
