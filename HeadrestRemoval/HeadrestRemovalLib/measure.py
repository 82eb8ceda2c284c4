"""How much equipment there is and how dense it is: volume, mean and standard deviation of HU, area of contact."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from CTVolumeLib.cells import slice_step
from CTVolumeLib.volume import CTVolume

from .contact import contact_cm2
from .labels import EQUIPMENT, NAMES


@dataclass(frozen=True)
class EquipmentMeasures:
    """One kind of equipment.

    Attributes:
        name: "headrest", "table", "other equipment" or "all equipment".
        volume_ml: of its voxels.
        mean_hu: of the same voxels, NaN without voxels.
        sd_hu: their standard deviation, NaN without voxels.
        contact_cm2: area over which it touches the patient.
    """

    name: str
    volume_ml: float
    mean_hu: float
    sd_hu: float
    contact_cm2: float


def measure(volume: CTVolume, labels: np.ndarray) -> tuple[EquipmentMeasures, ...]:
    """Headrest, table, other equipment and all of it.

    Args:
        volume: the scan.
        labels: (k, j, i) as from ``equipment.find``.
    """
    return (
        *(_measures(NAMES[value], volume, labels, (value,)) for value in EQUIPMENT),
        _measures("all equipment", volume, labels, EQUIPMENT),
    )


def to_csv(measures: Iterable[EquipmentMeasures]) -> str:
    """A table with a line for each."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(EquipmentMeasures)], lineterminator="\n")
    writer.writeheader()
    for one in measures:
        writer.writerow(
            {key: value if isinstance(value, str) else f"{value:.2f}" for key, value in asdict(one).items()}
        )
    return text.getvalue()


def to_dict(measures: Iterable[EquipmentMeasures]) -> dict[str, dict[str, Any]]:
    """By name, for JSON: numbers rounded, None where there is no number."""
    return {
        one.name: {
            key: None if np.isnan(value) else round(value, 2) for key, value in asdict(one).items() if key != "name"
        }
        for one in measures
    }


def _measures(name: str, volume: CTVolume, labels: np.ndarray, values: tuple[int, ...]) -> EquipmentMeasures:
    mask = np.isin(labels, values)
    hu = volume.array[mask].astype(np.float64)
    hu = hu[np.isfinite(hu)]
    mean, deviation = (float(hu.mean()), float(hu.std())) if hu.size else (float("nan"), float("nan"))
    voxel_ml = float(np.prod(volume.spacing[:2]) * slice_step(volume) / 1000)
    return EquipmentMeasures(
        name, float(np.count_nonzero(mask) * voxel_ml), mean, deviation, contact_cm2(volume, labels, values)
    )
