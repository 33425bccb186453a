"""Which cases of a long random test belong to the ordinary run, and which to the night."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest


def rest_at_night(cases: Sequence[Any], ordinary: int) -> list[Any]:
    """Return the cases for `parametrize`: the first `ordinary` of them run always, the others at night."""
    rest = (case if isinstance(case, tuple) else (case,) for case in cases[ordinary:])
    return [*cases[:ordinary], *(pytest.param(*case, marks=pytest.mark.nightly) for case in rest)]
