"""Locks between processes that end with the process that holds them, on every system that Slicer runs on.

A lock file that merely exists says nothing after a crash or a kill; a lock of the operating system is gone then. So
whoever gets the lock knows that nobody else is at work, and that what lies around is a leftover.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

_TAKEN = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)


class LockTakenError(Exception):
    """Somebody else holds the lock."""


@contextmanager
def locked(path: Path, *, wait_s: float = 0.0) -> Iterator[bool]:
    """Hold the lock ``path`` inside the block; the file is removed afterwards.

    Args:
        path: the lock file; its folder exists.
        wait_s: how long to wait for somebody else who holds it, in seconds.

    Yields:
        True, or False where the disk knows no locks (some network disks): then nothing is known about others.

    Raises:
        LockTakenError: somebody else still holds it.
        OSError: the lock file can't be made.
    """
    end = time.monotonic() + wait_s
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            known = _take(descriptor)
            if _is_same(descriptor, path):
                break
        except LockTakenError:
            if time.monotonic() >= end:
                os.close(descriptor)
                raise
            time.sleep(0.05)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # the holder before us removed the file: take the lock of the new one
    try:
        yield known
    finally:
        if fcntl is not None:
            path.unlink(missing_ok=True)
        os.close(descriptor)
        if fcntl is None:  # an open file can't be removed there, and afterwards somebody else may have it open
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _take(descriptor: int) -> bool:
    """Take the lock without waiting; False where there are no locks."""
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    except OSError as error:
        if error.errno in _TAKEN:
            raise LockTakenError from error
        return False
    return True


def _is_same(descriptor: int, path: Path) -> bool:
    """Whether ``path`` is still the file that was opened."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
