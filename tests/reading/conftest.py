"""Documents in a project folder."""

import pytest


@pytest.fixture
def project(tmp_path):
    """Write files into a project folder; return the path of the first."""
    (tmp_path / "kpiopt.toml").touch()

    def write(**contents):
        for name, content in contents.items():
            path = tmp_path / f"{name}.toml"
            raw = content if isinstance(content, bytes) else content.encode()
            path.write_bytes(raw)
        return tmp_path / f"{next(iter(contents))}.toml"

    return write
