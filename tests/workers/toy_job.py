"""A job that workers can be killed by: it squares numbers and does what its point says."""

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kpiopt.errors import Infeasible, ModelError, Problem

Point = tuple[str, float]


@dataclass(frozen=True)
class Squares:
    """Answers ("square", x) by (x², where); the other words make trouble."""

    folder: str = ""
    broken: bool = False

    def prepare(self) -> Callable[[Point], tuple[float, str]]:
        if self.broken:
            raise ModelError(Problem("E-toy", "cannot be prepared"))
        return self.answer

    def answer(self, point: Point) -> tuple[float, str]:
        word, value = point
        if word == "infeasible":
            raise Infeasible(Problem("E-infeasible", "no plan"))
        if word == "bug":
            raise ZeroDivisionError("division by zero")
        if word == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if word == "die once" and self._is_first(f"died-{value}"):
            os.kill(os.getpid(), signal.SIGKILL)
        if word == "slow":
            time.sleep(value)
        return value * value, f"{os.getpid()}/{threading.get_ident()}"

    def _is_first(self, name: str) -> bool:
        try:
            (Path(self.folder) / name).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


Row = dict[str, float]


@dataclass(frozen=True)
class Fractions:
    """Answers x by numbers whose last bits matter."""

    pause: float = 0.0

    def prepare(self) -> Callable[[float], Row]:
        return self.answer

    def answer(self, x: float) -> Row:
        time.sleep(self.pause)
        return {"third": x / 3.0, "root": x**0.5, "tiny": x * 5e-324 * 3, "sum": sum([x] * 10)}


class Unpicklable:
    """Answers with something that cannot travel."""

    def prepare(self) -> Callable[[Point], object]:
        return lambda point: threading.Lock()


class Dying:
    """A worker that dies before it is ready."""

    def prepare(self) -> Callable[[Point], object]:
        os._exit(3)


@dataclass(frozen=True)
class DyingEveryOtherStart:
    """Workers of which every second one dies before it is ready; those that live die once with each of their points."""

    folder: str

    def prepare(self) -> Callable[[Point], tuple[float, str]]:
        answer = Squares(self.folder)
        for start in range(1000):
            if answer._is_first(f"start-{start}"):
                if start % 2:
                    os._exit(3)
                return answer.answer
        raise AssertionError


@dataclass(frozen=True)
class Poisoned:
    """A sweep's job that one value of its first axis kills."""

    job: Any
    value: float

    def prepare(self) -> Callable[[Any], Any]:
        answer = self.job.prepare()
        return lambda point: self._die() if point.values[0][1] == self.value else answer(point)

    def _die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)
