"""Disks that fail: one once, at a place that a test chooses; one that is full and stays full."""

import errno
import os
from fnmatch import fnmatch
from pathlib import Path


class Disk:
    """Fails once, at one operation on one file, as a full or dying disk does.

    A place is a part of a path; with a star in it, a pattern for all of it.
    """

    def __init__(self, operation: str, place: str) -> None:
        self.operation, self.place = operation, place
        self.has_failed = False
        self.opened: dict[int, str] = {}

    def fails_at(self, operation: str, path: str) -> bool:
        is_here = operation == self.operation and self._is_meant(path) and not self.has_failed
        self.has_failed = self.has_failed or is_here
        return is_here

    def _is_meant(self, path: str) -> bool:
        return fnmatch(path, self.place) if "*" in self.place else self.place in path

    def room_for(self, path: str, content: bytes) -> int:
        """Return how much of some content can be written."""
        return len(content) // 2 if self.fails_at("write", path) else len(content)

    def check_open(self, path: str) -> None:
        if self.fails_at("open", path):
            raise OSError(errno.EMFILE, "Too many open files")

    def install(self, monkeypatch) -> None:
        real_open, real_fsync, real_replace, real_handle = Path.open, os.fsync, Path.replace, os.open

        def opening(path, mode="r", **options):
            if "x" not in mode:
                return real_open(path, mode, **options)
            self.check_open(str(path))
            file = real_open(path, mode, **options)
            self.opened[file.fileno()] = str(path)
            return Writing(file, str(path), self)

        def forcing(handle):
            if self.fails_at("fsync", self.opened.get(handle, "")):
                raise OSError(errno.EIO, "Input/output error")
            real_fsync(handle)

        def renaming(path, target):
            if self.fails_at("rename", str(path)):
                raise OSError(errno.EROFS, "Read-only file system")
            return real_replace(path, target)

        def opening_folder(path, *arguments, **options):
            handle = real_handle(path, *arguments, **options)
            self.opened[handle] = str(path)
            return handle

        monkeypatch.setattr(os, "open", opening_folder)
        monkeypatch.setattr(Path, "open", opening)
        monkeypatch.setattr(os, "fsync", forcing)
        monkeypatch.setattr(Path, "replace", renaming)


class FullDisk(Disk):
    """Takes so many bytes and no more."""

    def __init__(self, space: int) -> None:
        super().__init__("", "")
        self.space = space

    def room_for(self, path: str, content: bytes) -> int:
        room = min(self.space, len(content))
        self.space -= room
        return room

    def install(self, monkeypatch) -> None:
        super().install(monkeypatch)
        real_write, real_mkdir = os.write, Path.mkdir

        def writing(handle, content):
            if self.opened.get(handle, "").endswith(".lock") and self.room_for("", content) < len(content):
                raise OSError(errno.ENOSPC, "No space left on device")
            return real_write(handle, content)

        def making(path, *arguments, **options):
            if self.space == 0 and not path.exists():
                raise OSError(errno.ENOSPC, "No space left on device")
            return real_mkdir(path, *arguments, **options)

        monkeypatch.setattr(os, "write", writing)
        monkeypatch.setattr(Path, "mkdir", making)


class Writing:
    """A file that takes as much as there is room for."""

    def __init__(self, file, path: str, disk: Disk) -> None:
        self.file, self.path, self.disk = file, path, disk

    def __enter__(self):
        return self

    def __exit__(self, *details) -> None:
        self.file.close()

    def __getattr__(self, name: str):
        return getattr(self.file, name)

    def write(self, content: bytes) -> int:
        room = self.disk.room_for(self.path, content)
        self.file.write(content[:room])
        if room < len(content):
            self.file.flush()
            raise OSError(errno.ENOSPC, "No space left on device")
        return room
