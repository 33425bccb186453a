"""Locks that are links: refused, and what they point to stays as it is."""

import pytest

from kpiopt.errors import OutputError
from kpiopt.runs import lock


@pytest.mark.skipif(not lock.NO_LINKS, reason="links cannot be told here")
@pytest.mark.parametrize("target", ["precious.txt", "missing/away", ".r.lock"])
def test_a_lock_that_is_a_link_is_refused_and_its_target_stays(tmp_path, target):
    (tmp_path / "precious.txt").write_text("kept", "utf-8")
    path = tmp_path / ".r.lock"
    path.symlink_to(tmp_path / target)
    with pytest.raises(OutputError), lock.hold_lock(path):
        pass
    assert (tmp_path / "precious.txt").read_text("utf-8") == "kept"
    assert path.is_symlink()
