"""Questions about a strategy map that solves well and may still not say what is meant."""

from kpiopt.studies.lint.lint import lint_map

__all__ = ["lint_map"]
