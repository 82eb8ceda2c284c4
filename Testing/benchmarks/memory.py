"""Memory that a call needs beyond what its process held before: the same probe for all benchmarks."""

from __future__ import annotations

import resource
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

_PROBE = """
import sys
from importlib import import_module
import numpy as np
from CTVolumeLib.volume import CTVolume
from memory import peak_extra
path, module, method, first, last, *spacing = sys.argv[1:]
array = np.load(path)
volume = CTVolume(array, tuple(map(float, spacing)))
call = getattr(import_module(module), method)
call(volume.crop(k=slice(int(first), int(last))))
print(peak_extra(lambda: call(volume)) / array.size)
"""


def resident() -> int:
    """Bytes that this process holds in memory now (Linux)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def peak_extra(call: Callable[[], object]) -> int:
    """Bytes that this process holds at most while it calls, beyond those before."""
    before, peak, done = resident(), 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    call()
    done.set()
    watcher.join()
    return peak - before


def for_a_voxel(
    path: Path, module: str, method: str, spacing: tuple[float, float, float], first: tuple[int, int]
) -> float:
    """Bytes a voxel that a method needs beyond the scan itself, in a process of its own.

    Args:
        path: of the scan's (k, j, i) array.
        module: of the benchmark.
        method: of the module, called with a CTVolume.
        spacing: of the scan in mm.
        first: slices on which the method is called before, so that what it loads once does not count.
    """
    arguments = [str(path), module, method, *map(str, first), *map(str, spacing)]
    return float(run(_PROBE, *arguments))


def run(code: str, *arguments: str) -> str:
    """What a program prints that runs in a process of its own, beside the benchmarks."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=Path(__file__).parent, check=True, capture_output=True, text=True
    )
    return done.stdout
