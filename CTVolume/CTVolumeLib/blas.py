"""Lets numpy's matrix products run on one core each, so that a program can share out its work between cores itself.

OpenBLAS splits each small product between all cores and waits for the slowest at its end. On an idle machine that is
good; where another program uses a core, each of thousands of waits takes milliseconds (measured: ten times slower). Own
threads that each do whole slices wait once, at the end. numpy's wheels for Linux, Windows and Macs with Intel
processors bring an OpenBLAS along; elsewhere nothing is changed, and products stay correct, if less quick.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np

_LOCK = threading.Lock()
_users = 0
_before = 1


def threads() -> int:
    """Number of threads that numerical work may use: as set for OpenBLAS or OpenMP, else the cores of this process."""
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        value = os.environ.get(name, "")
        if value.isdecimal() and int(value) > 0:
            return int(value)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def one_thread_each() -> Iterator[bool]:
    """While this is open numpy's products use one thread each, also those of other threads.

    Yields:
        Whether it could be set. Where not, own threads would only get in the way of those of the library.
    """
    global _users, _before
    functions = _openblas()
    if functions is None:
        yield False
        return
    get, set_to = functions
    with _LOCK:
        if _users == 0:
            _before = get()
            set_to(1)
        _users += 1
    try:
        yield True
    finally:
        with _LOCK:
            _users -= 1
            if _users == 0:
                set_to(_before)


@cache
def _openblas() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """The functions of numpy's OpenBLAS that get and set its number of threads."""
    package = Path(np.__file__).parent
    for folder in (package.parent / "numpy.libs", package / ".dylibs"):
        for path in sorted(folder.glob("*openblas*")) if folder.is_dir() else ():
            try:
                library = ctypes.CDLL(str(path))  # numpy has loaded it already: this is the same one
            except OSError:
                continue
            for start in ("scipy_openblas", "openblas"):
                for end in ("64_", ""):
                    get = getattr(library, f"{start}_get_num_threads{end}", None)
                    set_to = getattr(library, f"{start}_set_num_threads{end}", None)
                    if get is not None and set_to is not None:
                        set_to.restype = None
                        set_to.argtypes = [ctypes.c_int]
                        return get, set_to
    return None
