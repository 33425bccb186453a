"""Promised odds and what they cost, in words."""
