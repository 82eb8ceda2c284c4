"""Silence for libraries that quote header values, and so perhaps a name, in their warnings and logs."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import SimpleITK as sitk

_LOGGERS = ("pydicom", "pylibjpeg", "openjpeg")
_lock = threading.Lock()
_inside = 0
_restore = ExitStack()


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep pydicom, its decoders and ITK from talking to the user.

    Their settings are global: the first of several threads that comes in changes them, the last that leaves puts them
    back. Warnings of others are lost meanwhile.
    """
    global _inside
    with _lock:
        if _inside == 0:
            _silence()
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _restore.close()


def _silence() -> None:
    _restore.enter_context(warnings.catch_warnings())
    warnings.simplefilter("ignore")
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        _restore.callback(logger.setLevel, logger.level)
        logger.setLevel(logging.CRITICAL + 1)
    _restore.callback(sitk.ProcessObject.SetGlobalWarningDisplay, sitk.ProcessObject.GetGlobalWarningDisplay())
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
