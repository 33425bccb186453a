"""`python -m kpiopt` is the same as `kpiopt`."""

from kpiopt.cli import console

if __name__ == "__main__":
    console()
