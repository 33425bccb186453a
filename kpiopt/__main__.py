"""`python -m kpiopt` is the same as `kpiopt`."""

import sys

from kpiopt.cli import main

if __name__ == "__main__":
    sys.exit(main())
