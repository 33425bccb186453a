"""Questions about plans: comparison, sensitivity, frontier, explanation."""
