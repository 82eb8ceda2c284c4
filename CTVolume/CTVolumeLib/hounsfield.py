"""Values of CT pixels: stored values to HU, HU to 8-bit pictures, HU to the numbers that networks take.

The picture functions follow the standard to the letter (DICOM PS3.3 C.11.1 Modality LUT, C.11.2 VOI LUT), so that a
slice looks as it does in any viewer.
"""

from __future__ import annotations

import numpy as np

from .errors import CTError

AIR_HU = -1024


def rescale(stored: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """HU of stored pixel values: slope * stored + intercept (PS3.3 C.11.1.1.2).

    Args:
        stored: integers of any shape.
        slope: RescaleSlope.
        intercept: RescaleIntercept.

    Returns:
        HU of the same shape: int16 where slope and intercept are whole and all values fit, else float32.
    """
    stored = np.asarray(stored)
    hu = stored.astype(np.float64) * slope + intercept
    whole = stored.dtype.kind in "iub" and float(slope).is_integer() and float(intercept).is_integer()
    limits = np.iinfo(np.int16)
    if whole and (hu.size == 0 or (hu.min() >= limits.min and hu.max() <= limits.max)):
        return hu.astype(np.int16)
    return hu.astype(np.float32)


def window(hu: np.ndarray, center: float, width: float, function: str = "LINEAR") -> np.ndarray:
    """8-bit picture by window center and width (VOI LUT functions of PS3.3 C.11.2.1.2 and C.11.2.1.3).

    Args:
        hu: HU of any shape.
        center: WindowCenter in HU.
        width: WindowWidth in HU; at least 1 for LINEAR, greater than 0 for the others.
        function: ``LINEAR``, ``LINEAR_EXACT`` or ``SIGMOID``, as in VOILUTFunction.

    Returns:
        uint8 of the same shape, 0 black to 255 white.

    Raises:
        CTError: a width that the standard forbids, or an unknown function.
    """
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        raise CTError("bad_window", f"There is no VOI LUT function {function}.", "Use LINEAR, LINEAR_EXACT or SIGMOID.")
    lowest = 1 if function == "LINEAR" else 0
    if not (np.isfinite(center) and np.isfinite(width)) or width < lowest or width == 0:
        raise CTError("bad_window", f"A window of width {width:g} shows nothing.", "Choose a wider window.")
    x = np.asarray(hu, dtype=np.float64)
    if function == "SIGMOID":
        exponent = np.clip(-4.0 * (x - center) / width, -700, 700)  # beyond, exp overflows and the result is 0 or 1
        share = 1.0 / (1.0 + np.exp(exponent))
    elif function == "LINEAR_EXACT":
        share = np.clip((x - center) / width + 0.5, 0.0, 1.0)
    elif width == 1:
        share = (x > center - 0.5).astype(np.float64)  # the ramp has no length: a threshold
    else:
        share = np.clip((x - (center - 0.5)) / (width - 1) + 0.5, 0.0, 1.0)
    return np.rint(share * 255).astype(np.uint8)


def apply_lut(values: np.ndarray, descriptor: tuple[int, int, int], data: np.ndarray) -> np.ndarray:
    """8-bit picture by a table, as in an item of the VOI LUT Sequence (PS3.3 C.11.2.1.1).

    Args:
        values: HU of any shape; they are rounded to whole numbers.
        descriptor: LUTDescriptor: number of entries (0 means 65536), first value that is mapped, bits of an entry.
        data: LUTData, as many unsigned entries.

    Returns:
        uint8 of the same shape. Values before the first entry get the first, values behind the last entry the last.

    Raises:
        CTError: the table has another length than its descriptor says.
    """
    entries, first, bits = (int(number) for number in descriptor)
    entries = entries or 65536
    table = np.asarray(data).astype(np.int64).ravel()
    if len(table) != entries or not 1 <= bits <= 16:
        text = f"The lookup table has {len(table)} entries, its descriptor says {entries} of {bits} bits."
        raise CTError("bad_lut", text, "Use window center and width instead.")
    index = np.clip(np.rint(np.asarray(values, dtype=np.float64)) - first, 0, entries - 1).astype(np.int64)
    return np.rint(table[index] * (255.0 / ((1 << bits) - 1))).clip(0, 255).astype(np.uint8)


def normalize(hu: np.ndarray, low: float = -1000.0, high: float = 400.0) -> np.ndarray:
    """HU to [0, 1], float32: ``low`` and below become 0, ``high`` and above 1. NaN becomes 0.

    Args:
        hu: HU of any shape.
        low: HU of 0.
        high: HU of 1.
    """
    if not high > low:
        raise CTError("bad_window", f"The upper limit {high:g} HU is not above the lower {low:g} HU.")
    result = np.asarray(hu).astype(np.float32)
    result -= np.float32(low)
    result /= np.float32(high - low)
    np.clip(result, 0.0, 1.0, out=result)
    return np.nan_to_num(result, copy=False, nan=0.0)


def zero_center(x: np.ndarray, mean: float = 0.25) -> np.ndarray:
    """Normalized values less their mean over many chest CTs, float32.

    Args:
        x: values of ``normalize``, any shape.
        mean: what to subtract.
    """
    return np.asarray(x, dtype=np.float32) - np.float32(mean)


def histogram(
    hu: np.ndarray, low: float = -1024.0, high: float = 3072.0, width: float = 16.0
) -> tuple[np.ndarray, np.ndarray]:
    """Counts of HU in bins of equal width. Values outside go to the first or last bin, NaN nowhere.

    Args:
        hu: HU of any shape.
        low: lower edge of the first bin in HU.
        high: upper edge of the last bin in HU; it is raised to a whole number of bins.
        width: width of a bin in HU.

    Returns:
        Counts (bins,) int64 and edges (bins + 1,) in HU. A value on an edge belongs to the bin above it.
    """
    if not (width > 0 and high > low):
        raise CTError("bad_window", "A histogram needs a positive bin width and an upper limit above the lower.")
    bins = int(np.ceil((high - low) / width - 1e-9))
    values = np.asarray(hu).ravel()
    values = values[~np.isnan(values)] if values.dtype.kind == "f" else values
    index = np.clip(np.floor((values - np.float64(low)) / width), 0, bins - 1).astype(np.int64)
    return np.bincount(index, minlength=bins), low + width * np.arange(bins + 1)
