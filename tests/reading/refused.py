"""Documents that are refused: every problem, the only one, and where they are."""

import pytest

from kpiopt.reading.document import read_document


def refusal(kind, path, **options):
    with pytest.raises(kind) as caught:
        read_document(path, **options)
    assert caught.value.exit_code == 3
    return caught.value.problems


def only(problems, code):
    assert [p.code for p in problems] == [code]
    return problems[0]


def positions(problems):
    return [(p.location.line, p.location.column) for p in problems]
