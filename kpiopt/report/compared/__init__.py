"""Scenarios side by side: who wins, by how much, and who is asked what in each."""
