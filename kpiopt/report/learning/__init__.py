"""What was learned from history, laid out for the terminal and as a page."""
