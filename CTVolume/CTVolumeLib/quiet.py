"""Silence for libraries that quote header values, and so perhaps a name, in their warnings and logs."""

from __future__ import annotations

import importlib
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType

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


def late(name: str) -> ModuleType:
    """A library that is imported where it is needed first; within ``quiet_libraries`` it is silent as well.

    pydicom and SimpleITK take a third of a second to import, which every process of a batch would spend again, and
    most series are read without them.

    Args:
        name: of the module, such as ``"pydicom"``.
    """
    with _lock:
        if name not in sys.modules:
            _restore.close()  # a library that comes now sets its own level of talking, which must be found again
            importlib.import_module(name)
            if _inside:
                _silence()
    return sys.modules[name]


def _silence() -> None:
    _restore.enter_context(warnings.catch_warnings())
    warnings.simplefilter("ignore")
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        _restore.callback(logger.setLevel, logger.level)
        logger.setLevel(logging.CRITICAL + 1)
    sitk = sys.modules.get("SimpleITK")
    if sitk is None:
        return
    _restore.callback(sitk.ProcessObject.SetGlobalWarningDisplay, sitk.ProcessObject.GetGlobalWarningDisplay())
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
