"""Checks of a scenario as a whole."""
