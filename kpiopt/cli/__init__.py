"""The command line: the only room that prints or exits.

stdout carries the answer, stderr the talk. Every command module imports what it needs when it runs, so that
`kpiopt --help` answers at once and loads no numpy.
"""

from kpiopt.cli.app import console, main

__all__ = ["console", "main"]
