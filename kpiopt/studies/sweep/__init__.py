"""Sweep: one scenario for many values of some of its numbers."""
