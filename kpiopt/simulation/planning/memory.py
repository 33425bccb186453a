"""How many draws may be kept: as many as ever, and more where memory is free."""

from __future__ import annotations

from pathlib import Path

from kpiopt.simulation.redraw import MOST_NUMBERS

SHARE = 4
"""Draws to plan on and draws to check on take at most one part in so many of the memory that is free, each."""
FREE = Path("/proc/meminfo")
GROUP = Path("/sys/fs/cgroup")
"""Where Linux says how much memory is free, and how much a container may have."""


def most_kept() -> int:
    """Return how many numbers of 8 bytes may be kept; whether they are kept changes no plan."""
    return max(MOST_NUMBERS, free_memory() // 8 // SHARE)


def free_memory() -> int:
    """Return the bytes that are free to this process, 0 where the system does not say."""
    try:
        lines = dict(line.split(":", 1) for line in FREE.read_text().splitlines() if ":" in line)
        free = int(lines["MemAvailable"].split()[0]) << 10
    except (OSError, KeyError, ValueError):
        return 0
    try:
        limit, used = (int((GROUP / name).read_text()) for name in ("memory.max", "memory.current"))
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        return free
    return max(0, min(free, limit - used))
