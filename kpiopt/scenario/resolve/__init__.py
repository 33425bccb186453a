"""Resolving: documents and tables become the parts of a scenario."""
