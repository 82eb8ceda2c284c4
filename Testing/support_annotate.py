"""Phantom series on disk for the tests of Annotate: small, and quick to write and to read."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from CTVolumeLib import phantom, phantom_dicom
from CTVolumeLib.phantom_parameters import PhantomParameters


@lru_cache(maxsize=1)
def chest() -> phantom.Phantom:
    """A chest in coarse voxels."""
    return phantom.make(PhantomParameters(coverage=(0.14, 0.36), spacing=(8.0, 8.0, 6.0)))


def write_series(folder: Path, number: int = 1, **options) -> Path:
    """One DICOM series of the chest; another number is another series of the same patient."""
    phantom_dicom.write_dicom(chest().volume, folder, series_number=number, **options)
    return folder


def write_tree(folder: Path, count: int = 3) -> Path:
    """Folders with a series each."""
    for number in range(count):
        write_series(folder / f"series{number}", number + 1)
    return folder
