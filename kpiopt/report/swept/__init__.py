"""A sweep at once: where its odds are best, and how they move along its axes."""
