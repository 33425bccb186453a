"""Back-tests: what would have been forecast, planned and said at past periods, and what happened."""
