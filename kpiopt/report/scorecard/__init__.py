"""Scorecards: one page for a unit or a person, with only what they may see, in words for who never saw the model."""
