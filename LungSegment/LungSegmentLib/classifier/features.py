"""What is known of a scan without a network: the histogram of its lungs, and what its header tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from CTVolumeLib import hounsfield
from CTVolumeLib.quiet import quiet_libraries
from CTVolumeLib.volume import CTVolume

from ..lungs import LEFT, RIGHT
from .inputs import mr_values

LUNG_HU, BODY_HU = (-1000.0, 80.0), (-1000.0, 400.0)
_BINS = 36


def histogram(volume: CTVolume, labels: np.ndarray | None, values: str) -> list[float]:
    """Shares of the voxels by value: of the lungs (vessels and all), or of the whole scan where there are none.

    Args:
        volume: the scan.
        labels: (k, j, i) as from ``lungs.segment``, or None.
        values: ``"ct"`` or ``"mr"``.

    Returns:
        36 numbers that add up to 1.
    """
    if values == "mr":
        chosen, (low, high) = mr_values(volume.array), (0.0, 1.0)
    elif labels is None:
        chosen, (low, high) = volume.array, BODY_HU
    else:
        chosen, (low, high) = volume.array[np.isin(labels, (LEFT, RIGHT))], LUNG_HU
    counts, _ = hounsfield.histogram(chosen, low, high, (high - low) / _BINS)
    return (counts[:_BINS] / max(counts.sum(), 1)).tolist()


def header(volume: CTVolume) -> dict[str, Any]:
    """What a scan's files tell apart from its picture: geometry, kernel, scanner. Nothing about the patient.

    Text is a category, numbers are numbers. It is for the check whether these alone tell the label.
    """
    axial = volume.as_axial()
    found: dict[str, Any] = {
        **{f"spacing {axis}": float(step) for axis, step in zip("ijk", axial.spacing)},
        **{f"voxels {axis}": float(count) for axis, count in zip("kji", axial.array.shape)},
        "slice thickness": float(volume.meta.get("slice_thickness") or axial.spacing[2]),
        "kernel": str(volume.meta.get("kernel") or "unknown"),
        "whole numbers": float(volume.array.dtype.kind in "iu"),
    }
    return found | _scanner(volume)


def _scanner(volume: CTVolume) -> dict[str, str]:
    """Maker and model as the first file's header has them, where it is DICOM on disk."""
    path = Path(volume.sources[0]) if volume.sources else None
    if path is None or not path.is_file():
        return {}
    with quiet_libraries():
        try:
            data = pydicom.dcmread(
                path, stop_before_pixels=True, specific_tags=["Manufacturer", "ManufacturerModelName"]
            )
        except (pydicom.errors.InvalidDicomError, OSError, ValueError, AttributeError, EOFError):
            return {}  # a volume file, which has no scanner
    return {
        "maker": str(data.get("Manufacturer", "unknown")),
        "model": str(data.get("ManufacturerModelName", "unknown")),
    }
