"""The scan as networks want it: even spacing, values between 0 and 1 about a mean of 0, cropped to the lungs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from CTVolumeLib import hounsfield, resample
from CTVolumeLib.boxes import bounding_box
from CTVolumeLib.errors import CTError
from CTVolumeLib.volume import CTVolume

from .lungs import LEFT, RIGHT


@dataclass(frozen=True)
class PreprocessOptions:
    """What is done, in this order.

    Attributes:
        crop_margin_mm: to the box of the lungs with this margin; None keeps the whole scan.
        spacing_mm: even spacing, None keeps that of the scan.
        normalize: whether HU from -1000 to 400 become 0 to 1; beyond they are clipped.
        zero_center: whether 0.25 is subtracted then, the mean of chest CT that is normalised so.
    """

    crop_margin_mm: float | None = 10.0
    spacing_mm: float | None = 1.0
    normalize: bool = True
    zero_center: bool = True


def preprocess(volume: CTVolume, labels: np.ndarray, options: PreprocessOptions | None = None) -> CTVolume:
    """The prepared scan; its spacing is the one that rounding to whole voxels really gave.

    Args:
        volume: the scan.
        labels: (k, j, i) as from ``lungs.segment``; only its box is used.
        options: what to do.

    Raises:
        CTError: cropping without lungs.
    """
    options = options or PreprocessOptions()
    if options.zero_center and not options.normalize:
        raise CTError("bad_option", "Values can be zero-centred only after they are normalised.", "Choose both.")
    if options.crop_margin_mm is not None:
        volume = crop_to_lungs(volume, labels, options.crop_margin_mm)
    if options.spacing_mm is not None:
        volume = resample.to_spacing(volume, options.spacing_mm)
    if options.normalize:
        values = hounsfield.normalize(volume.array)
        volume = volume.with_array(hounsfield.zero_center(values) if options.zero_center else values)
    return volume


def crop_to_lungs(volume: CTVolume, labels: np.ndarray, margin_mm: float) -> CTVolume:
    """The part of a scan that holds both lungs and a margin on all sides."""
    lung = (labels == LEFT) | (labels == RIGHT)
    if not lung.any():
        raise CTError("no_lungs", "There are no lungs to crop the scan to.", "Segment the lungs first.")
    return volume.crop(*bounding_box(lung, volume.spacing, margin_mm))
