"""A disk that fails once, at a place that a test chooses."""

import errno
import os
from pathlib import Path


class Disk:
    """Fails once, at one operation on one file, as a full or dying disk does."""

    def __init__(self, operation: str, file: str) -> None:
        self.operation, self.file = operation, file
        self.has_failed = False
        self.opened: dict[int, str] = {}

    def fails_at(self, operation: str, path: str) -> bool:
        is_here = operation == self.operation and self._is_meant(path) and not self.has_failed
        self.has_failed = self.has_failed or is_here
        return is_here

    def _is_meant(self, path: str) -> bool:
        return path.endswith(self.file) if self.file.startswith("/") else self.file in path

    def install(self, monkeypatch) -> None:
        real_open, real_fsync, real_replace, real_handle = Path.open, os.fsync, Path.replace, os.open

        def opening(path, mode="r", **options):
            if "x" in mode and self.fails_at("open", str(path)):
                raise OSError(errno.EMFILE, "Too many open files")
            file = real_open(path, mode, **options)
            if "x" not in mode:
                return file
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


class Writing:
    """A file that takes half of what is written and then none."""

    def __init__(self, file, path: str, disk: Disk) -> None:
        self.file, self.path, self.disk = file, path, disk

    def __enter__(self):
        return self

    def __exit__(self, *details) -> None:
        self.file.close()

    def __getattr__(self, name: str):
        return getattr(self.file, name)

    def write(self, content: bytes) -> int:
        if self.disk.fails_at("write", self.path):
            self.file.write(content[: len(content) // 2])
            self.file.flush()
            raise OSError(errno.ENOSPC, "No space left on device")
        return self.file.write(content)
