"""What scanners make of the same patient: kernels that sharpen or smooth, and noise, on finished cases."""

from __future__ import annotations

import numpy as np
from CTVolumeLib.volume import CTVolume
from scipy import ndimage

_SHARP_WEIGHT, _SHARP_PIXELS = 0.8, 1.0
_SOFT_PIXELS = 0.9
_NOISE_HU, _NOISE_PIXELS = 25.0, 0.7

KERNELS = ("plain", "sharp", "soft", "noisy")


def by(volume: CTVolume, kernel: str, seed: int = 0) -> CTVolume:
    """The scan as another kernel gives it.

    Args:
        volume: a scan.
        kernel: "plain", as it is; "sharp", unsharp mask with a weight of 0.8; "soft", blurred by a Gauss of 0.9 pixels;
            "noisy", with noise of 25 HU that reaches from pixel to pixel.
        seed: of the noise.
    """
    if kernel == "plain":
        return volume
    hu = volume.array.astype(np.float32)
    if kernel == "sharp":
        hu += _SHARP_WEIGHT * (hu - _blurred(hu, _SHARP_PIXELS))
    elif kernel == "soft":
        hu = _blurred(hu, _SOFT_PIXELS)
    elif kernel == "noisy":
        noise = _blurred(np.random.default_rng(seed).standard_normal(hu.shape, np.float32), _NOISE_PIXELS)
        hu += noise * (_NOISE_HU / noise.std())
    else:
        raise ValueError(f"There is no kernel {kernel!r}.")
    return volume.with_array(np.clip(np.rint(hu), -1024, 3071).astype(np.int16))


def _blurred(hu: np.ndarray, pixels: float) -> np.ndarray:
    return ndimage.gaussian_filter(hu, (0, pixels, pixels))
