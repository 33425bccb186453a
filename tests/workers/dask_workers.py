"""A Dask cluster over loopback, its workers in processes of their own."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = str(Path(__file__).parents[2])
WORKER = """
import asyncio, sys
from distributed import Worker

async def work():
    async with Worker(sys.argv[1], nthreads=1, host="127.0.0.1", dashboard_address=None) as worker:
        await worker.finished()

asyncio.run(work())
"""


class LoopbackCluster:
    """A scheduler in this process and workers that can be killed."""

    def __init__(self, scheduler, folder: Path) -> None:
        self._scheduler, self._folder = scheduler, folder
        self.workers: list[subprocess.Popen] = []
        self.ended = threading.Event()

    @property
    def address(self) -> str:
        """As behind `--executor`."""
        return f"dask://{self._scheduler.scheduler_address.removeprefix('tcp://')}"

    def end_scheduler(self) -> None:
        self._scheduler.close()

    def start_worker(self) -> subprocess.Popen:
        words = [sys.executable, "-c", WORKER, self._scheduler.scheduler_address]
        worker = subprocess.Popen(
            words, cwd=self._folder, env={**os.environ, "PYTHONPATH": ROOT}, stderr=subprocess.DEVNULL
        )
        self.workers.append(worker)
        return worker

    def keep_up(self, size: int, deaths: int) -> None:
        """Replace workers that die, as a supervisor does, up to a number of deaths."""
        threading.Thread(target=self._supervise, args=(size, deaths), daemon=True).start()

    def _supervise(self, size: int, deaths: int) -> None:
        while len(self.workers) < size + deaths and not self.ended.wait(0.05):
            if sum(worker.poll() is None for worker in self.workers) < size:
                self.start_worker()


@contextmanager
def loopback_cluster(folder: Path, workers: int) -> Iterator[LoopbackCluster]:
    """Start a scheduler and workers on this machine."""
    from distributed import LocalCluster

    options = {
        "n_workers": 0,
        "dashboard_address": ":0",
        "silence_logs": 50,
        "host": "127.0.0.1",
        "processes": False,
        "protocol": "tcp://",
    }
    with LocalCluster(**options) as scheduler:
        cluster = LoopbackCluster(scheduler, folder)
        try:
            for _ in range(workers):
                cluster.start_worker()
            if workers:
                scheduler.wait_for_workers(workers, timeout=60)
            yield cluster
        finally:
            cluster.ended.set()
            for worker in cluster.workers:
                worker.kill()
                worker.wait()
