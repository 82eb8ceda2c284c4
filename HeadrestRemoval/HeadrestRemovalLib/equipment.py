"""Equipment of a scan, by the method that measured best or by a chosen one: ``find``."""

from __future__ import annotations

from CTVolumeLib.errors import CTError
from CTVolumeLib.progress import Progress, part
from CTVolumeLib.volume import CTVolume

from . import cluster
from .results import EquipmentResult

METHODS = ("auto", "clustering", "network", "both")
BEST = "both"
"""What "auto" takes: the method whose worst case measured best."""


def find(volume: CTVolume, method: str = "auto", progress: Progress | None = None) -> EquipmentResult:
    """Find headrest, table and other equipment.

    Args:
        volume: a CT with its slices in any order and direction.
        method: "auto", "clustering" (``cluster.label``), "network" (``prediction.label``) or "both" (what
            clustering found, and in scans of heads the thick pads that it took for the patient and the network
            does not).
        progress: called with done, total and text; returning False cancels.

    Raises:
        CTError: ``bad_option``, and all that the methods raise: ``not_ct``, ``no_body``, ``too_few_slices``,
            ``cancelled``; the network also where its model file is missing.
    """
    if method not in METHODS:
        raise CTError("bad_option", f"There is no method {method!r}.", f"Choose one of {', '.join(METHODS)}.")
    method = BEST if method == "auto" else method
    if method == "clustering":
        return cluster.label(volume, progress=progress)
    from . import prediction  # the network's weights are needed by those only who ask for it

    if method == "network":
        cluster.refuse_what_is_no_ct(volume)
        return prediction.label(volume, None, progress)
    first = cluster.label(volume, progress=part(progress, 0, 2))
    return prediction.label(volume, first, part(progress, 1, 2))
