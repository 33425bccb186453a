"""Commands that turn an answer into something to look at."""
