"""Finished runs on disk: content-addressed folders, sweeps and executors."""
