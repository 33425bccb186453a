"""Runs: what one solve produced, and the folders that keep it."""
