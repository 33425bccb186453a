"""Property tests draw the same examples everywhere; `--hypothesis-profile default` draws new ones."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")
