"""Before and after, volume-rendered, of scans whose licence allows it: ``Docs/headrest-before-after.png``.

Heads are seen from behind: a face could be recognised.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from CTVolumeLib import dicom, render, render3d
from CTVolumeLib.files import write_atomic
from CTVolumeLib.volume import CTVolume

from . import equipment, remove

VIEWS = (("ch01", 145.0, 20.0, 1.6), ("gh01", 155.0, 12.0, 1.4))
"""Scan, azimuth and elevation in degrees, mm of a pixel."""

_GAP = 12


def write(data: Path, document: Path | None = None) -> None:
    """Write the picture of all ``VIEWS``.

    Args:
        data: folder of the real scans.
        document: other than Docs/headrest-before-after.png of this project.
    """
    document = document or Path(__file__).parents[2] / "Docs" / "headrest-before-after.png"
    pairs = [
        before_after(dicom.read(data / "vol" / f"{name}.nii.gz"), azimuth, elevation, pixel_mm)
        for name, azimuth, elevation, pixel_mm in VIEWS
    ]
    write_atomic(document, render.to_png(render.montage(pairs, len(pairs), gap=4 * _GAP, background=255)))


def before_after(volume: CTVolume, azimuth: float, elevation: float, pixel_mm: float) -> np.ndarray:
    """The scan with and without its equipment, side by side, (rows, columns, 3) uint8.

    Args:
        volume: the scan.
        azimuth: degrees, as in ``render3d.shaded``.
        elevation: degrees.
        pixel_mm: side of a pixel.
    """
    cleaned = remove.remove(volume, equipment.find(volume).labels)
    pictures = [render3d.shaded(one, azimuth, elevation, pixel_mm) for one in (volume, cleaned)]
    return render.montage(pictures, 2, gap=_GAP, background=255)
