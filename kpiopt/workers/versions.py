"""Versions: what an answer depends on besides its inputs."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from kpiopt.reading.regular_file import open_regular

PACKAGES = ("kpiopt", "highspy", "numpy", "scipy", "polars", "piqp")


def hash_file(path: Path) -> str | None:
    """Return the SHA-256 of a file, or None where it cannot be read."""
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return None


def installed_versions() -> dict[str, str]:
    """Return the versions that a run's figures depend on; kpiopt's own code by its digest as well."""
    found = {"python": platform.python_version(), "code": _code_digest()}
    return found | {package: _version_of(package) for package in PACKAGES}


@cache
def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


@cache
def _code_digest() -> str:
    """Return a digest of kpiopt's source files: between releases, equal versions need not mean equal code."""
    folder = Path(__file__).parents[1]
    files = sorted((str(file).removeprefix(str(folder)), file) for file in folder.rglob("*.py"))
    parts = (f"{name} {hashlib.sha256(file.read_bytes()).hexdigest()}" for name, file in files)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
