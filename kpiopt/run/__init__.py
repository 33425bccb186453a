"""One run: from a scenario to everything that one solve produces."""
