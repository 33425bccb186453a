"""Sensitivity: what the answer hinges on."""
