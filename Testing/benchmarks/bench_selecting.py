"""Selecting the module for the first time: import, forms, parameter node, enter (in the stand-in, bar 300 ms)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

RUNS = 5
BAR_MS = 300.0
ROOT = Path(__file__).parents[2]
SCRIPT = """
import time
from slicerstandin.session import Session
session = Session().start()
session.load("CTVolume", enter=False)
session.load("CTSliceLocalizer", enter=False)
started, worked = time.perf_counter(), time.process_time()
session.select("CTSliceLocalizer")
print(1000 * (time.perf_counter() - started), 1000 * (time.process_time() - worked))
session.end()
"""


def run() -> list[tuple]:
    """One row for the table: medians in ms, each time from a process of its own."""
    passed, worked = np.median([_once() for _ in range(RUNS)], axis=0)
    return [("first selection", f"{passed:.0f} ms passed, {worked:.0f} ms of computing (bar {BAR_MS:.0f} ms)")]


def _once() -> list[float]:
    folders = [ROOT / "Testing", ROOT / "CTVolume", ROOT / "CTSliceLocalizer"]
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(map(str, folders)))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, encoding="utf-8", check=True
    )
    return [float(number) for number in done.stdout.splitlines()[-1].split()]


if __name__ == "__main__":
    for row in run():
        print(" | ".join(row))
