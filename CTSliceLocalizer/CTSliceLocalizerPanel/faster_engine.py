"""LiteRT, the faster way to run the network: installed on demand, never needed."""

from __future__ import annotations

import importlib
import importlib.util

import slicer
import slicer.util
from slicer.i18n import tr as _

REQUIREMENT = "ai-edge-litert>=2.1"


def isInstalled() -> bool:
    """Whether LiteRT is there; it is not imported to find out."""
    importlib.invalidate_caches()
    return importlib.util.find_spec("ai_edge_litert") is not None


def install() -> None:
    """Install LiteRT after asking the user; nothing happens where it is there already.

    Raises:
        CTError: it could not be installed: no network, no wheel for this computer, or the user declined.
    """
    from CTVolumeLib.errors import CTError

    if isInstalled():
        return
    reason = ""
    try:
        _install()
    except Exception as error:  # pip fails in many ways; the panel goes on without
        reason = f" ({type(error).__name__})"
    if not isInstalled():
        raise CTError(
            "no_litert",
            f"LiteRT could not be installed{reason}.",
            "Locate works without it and gives the same result.",
        )


def _install() -> None:
    try:
        from slicer.packaging import pip_ensure  # Slicer 5.12
    except ImportError:
        question = _("Install the Python package {name} into Slicer? It needs the network.").format(name=REQUIREMENT)
        if slicer.util.confirmOkCancelDisplay(question):
            slicer.util.pip_install(REQUIREMENT)
        return
    pip_ensure([REQUIREMENT], requester="CTSliceLocalizer")
