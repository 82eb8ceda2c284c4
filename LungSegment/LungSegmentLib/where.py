"""Where to look for lungs, said by whoever knows where the slices of a scan lie in the body, if anybody is installed.

A package that knows registers a function for it as the entry point ``ct_lungs.where``, so that neither imports the
other: it takes a CTVolume and returns LPS z in mm of the lowest and the highest slice that can hold lung, or None.
"""

from __future__ import annotations

from importlib.metadata import entry_points

from CTVolumeLib.volume import CTVolume

GROUP = "ct_lungs.where"


def within_z_mm(volume: CTVolume) -> tuple[float, float] | None:
    """The answer of the first that knows; None where nobody does, to look everywhere."""
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        found = entry.load()(volume)
        if found is not None:
            return found
    return None
