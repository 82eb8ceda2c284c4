"""How large and how dense lungs are: volume, HU, mass, and the shares that stand for emphysema.

Thresholds and percentile are those of quantitative CT (Lynch and Al-Qaisi, J Thorac Imaging 28:284, 2013): -950 HU for
emphysema in inspiration, -910 HU as the older limit, and the 15th percentile.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields

import numpy as np
from CTVolumeLib.cells import slice_step
from CTVolumeLib.volume import CTVolume

from .lungs import LEFT, RIGHT

PERCENTILES = (5, 15, 50, 85, 95)
EMPHYSEMA_HU, LOW_HU = -950, -910
WATER_G_PER_ML = 1.0
HISTOGRAM_HU = (-1050, 250)
HISTOGRAM_STEP_HU = 10


@dataclass(frozen=True)
class LungMeasures:
    """One lung, or both.

    Attributes:
        name: "left lung", "right lung" or "both lungs".
        volume_ml: of the filled mask, vessels included.
        mean_hu: of the same voxels.
        percentile_5_hu: HU that 5 % of the voxels are below; likewise 15, 50, 85, 95.
        mass_g: volume times (HU + 1000) / 1000 g/mL, air being 0 and water 1 (Hedlund et al., 1983).
        below_950_percent: share of the voxels below -950 HU.
        below_910_percent: share of the voxels below -910 HU.
    """

    name: str
    volume_ml: float
    mean_hu: float
    percentile_5_hu: float
    percentile_15_hu: float
    percentile_50_hu: float
    percentile_85_hu: float
    percentile_95_hu: float
    mass_g: float
    below_950_percent: float
    below_910_percent: float


def measure(volume: CTVolume, labels: np.ndarray) -> tuple[LungMeasures, ...]:
    """Left, right and both lungs; without voxels a lung has volume 0 and NaN for the rest.

    Args:
        volume: the scan.
        labels: (k, j, i) as from ``lungs.segment``.
    """
    voxel_ml = voxel_volume_ml(volume)
    counts = {side: _counts(volume.array[labels == side]) for side in (LEFT, RIGHT)}
    return (
        _measures("left lung", counts[LEFT], voxel_ml),
        _measures("right lung", counts[RIGHT], voxel_ml),
        _measures("both lungs", counts[LEFT] + counts[RIGHT], voxel_ml),
    )


def histogram(volume: CTVolume, labels: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """How many mL have which HU.

    Returns:
        (n,) lower edges of the bins in HU, and for each of left and right lung (n,) mL; what lies outside counts in
        the first and last bin.
    """
    low, high = HISTOGRAM_HU
    edges = np.arange(low, high + 1, HISTOGRAM_STEP_HU)
    voxel_ml = voxel_volume_ml(volume)
    parts = {}
    for name, side in (("left lung", LEFT), ("right lung", RIGHT)):
        values = np.clip(volume.array[labels == side], low, high - 1)
        parts[name] = np.histogram(values, edges)[0] * voxel_ml
    return edges[:-1], parts


def voxel_volume_ml(volume: CTVolume) -> float:
    """Volume of a voxel; the height of a slice is the median distance of the slices."""
    return float(np.prod(volume.spacing[:2]) * slice_step(volume) / 1000)


def to_csv(measures: Iterable[LungMeasures]) -> str:
    """A table with a line for each."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(LungMeasures)], lineterminator="\n")
    writer.writeheader()
    for one in measures:
        writer.writerow(
            {key: value if isinstance(value, str) else f"{value:.2f}" for key, value in asdict(one).items()}
        )
    return text.getvalue()


_LOWEST_HU, _HIGHEST_HU = -1100, 3100


def _counts(values: np.ndarray) -> np.ndarray:
    """(n,) how many voxels have each whole HU from the lowest on."""
    whole = np.clip(np.rint(values[~np.isnan(values)]), _LOWEST_HU, _HIGHEST_HU).astype(np.int32) - _LOWEST_HU
    return np.bincount(whole, minlength=_HIGHEST_HU - _LOWEST_HU + 1)


def _measures(name: str, counts: np.ndarray, voxel_ml: float) -> LungMeasures:
    voxels = counts.sum()
    if not voxels:
        return LungMeasures(name, 0.0, *[float("nan")] * (len(fields(LungMeasures)) - 2))
    hu = np.arange(_LOWEST_HU, _HIGHEST_HU + 1)
    mean = float(hu @ counts / voxels)
    reached = np.cumsum(counts) / voxels
    percentiles = [float(hu[np.searchsorted(reached, p / 100)]) for p in PERCENTILES]
    mass = float((np.maximum(hu + 1000, 0) @ counts) / 1000 * voxel_ml * WATER_G_PER_ML)
    below = [float(100 * counts[hu < limit].sum() / voxels) for limit in (EMPHYSEMA_HU, LOW_HU)]
    return LungMeasures(name, float(voxels * voxel_ml), mean, *percentiles, mass, *below)
