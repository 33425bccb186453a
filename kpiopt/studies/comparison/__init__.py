"""Comparison: scenarios beside each other, on the same draws."""
