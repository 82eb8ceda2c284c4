"""From annotated landmarks to the true place of every slice: body coordinate in mm and the article's location."""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .landmarks import BODY_MM, LOCATIONS, NAMES, interpolate

MOVES_WITH_BREATH = ("Right dome of diaphragm",)
BREATH_MARGIN_MM = 45.0
"""How much further than other landmarks the dome of the diaphragm may lie from its mean place."""
LONELY_MM = 1000.0
"""No landmark is further than this from the nearest annotated one."""
SLOPES = (0.8, 1.25)


@dataclass(frozen=True)
class Annotation:
    """One landmark as somebody read it: LPS z and its uncertainty, both in mm."""

    z_mm: float
    uncertainty_mm: float


def read_landmarks(path: Path) -> dict[str, dict[str, Annotation]]:
    """Annotations of many scans from a table with the columns id, landmark, z_mm, uncertainty_mm.

    A landmark that several readers annotated becomes their mean.
    """
    readings: dict[str, dict[str, list[Annotation]]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            annotation = Annotation(float(row["z_mm"]), float(row["uncertainty_mm"]))
            readings.setdefault(row["id"], {}).setdefault(row["landmark"], []).append(annotation)
    return {
        scan: {
            name: Annotation(*np.mean([(a.z_mm, a.uncertainty_mm) for a in several], axis=0))
            for name, several in by_name.items()
        }
        for scan, by_name in readings.items()
    }


def body_targets(z_mm: np.ndarray, annotations: Mapping[str, Annotation]) -> tuple[np.ndarray, np.ndarray]:
    """True body coordinate of each height, and how well it is known.

    Between landmarks it is linear; beyond them it goes on with the scan's own mean slope. The dome of the diaphragm
    counts only where nothing else is annotated.

    Args:
        z_mm: (k,) LPS z.
        annotations: at least one landmark of the scan.

    Returns:
        (k,) body coordinate in mm and (k,) its standard deviation in mm.
    """
    fixed = {name: a for name, a in annotations.items() if name not in MOVES_WITH_BREATH}
    used = fixed or dict(annotations)
    names = sorted(used, key=lambda name: -used[name].z_mm)
    z = np.array([used[name].z_mm for name in names])
    body = np.array([BODY_MM[NAMES.index(name)] for name in names])
    read = np.array([used[name].uncertainty_mm for name in names])
    slope = 1.0
    if z[0] - z[-1] > 60:
        slope = float(np.clip((body[-1] - body[0]) / (z[0] - z[-1]), *SLOPES))
    below_first = z[0] - np.asarray(z_mm, dtype=float)
    result = np.interp(below_first, z[0] - z, body)
    above, below = below_first < 0, below_first > z[0] - z[-1]
    result[above] = body[0] + slope * below_first[above]
    result[below] = body[-1] + slope * (below_first[below] - (z[0] - z[-1]))
    distance = np.abs(np.asarray(z_mm)[:, None] - z)
    nearest = distance.argmin(axis=1)
    sigma = read[nearest] + 0.12 * distance.min(axis=1) + (0.0 if fixed else 20.0)
    return result, sigma


def surely_outside(name: str, body_mm: np.ndarray, annotated: Collection[str]) -> bool:
    """Whether a scan ends so far from a landmark that it can't show it, however the patient is built.

    Args:
        name: of a landmark that is not annotated in the scan.
        body_mm: true body coordinates of the scan.
        annotated: names of the landmarks that are; without any it counts as far from one.
    """
    place = BODY_MM[NAMES.index(name)]
    known = BODY_MM[[NAMES.index(other) for other in annotated]]
    margin = 30.0 + 0.25 * np.abs(known - place).min(initial=LONELY_MM)
    margin += BREATH_MARGIN_MM if name in MOVES_WITH_BREATH else 0.0
    return not np.min(body_mm) - margin < place < np.max(body_mm) + margin


def locations(z_mm: np.ndarray, annotations: Mapping[str, Annotation | float]) -> np.ndarray:
    """Location of each height on the article's scale: linear in z, continued by the nearest two landmarks.

    Args:
        z_mm: LPS z, any shape.
        annotations: at least two landmarks of the scan, with their z or annotation.
    """
    heights = {name: a.z_mm if isinstance(a, Annotation) else float(a) for name, a in annotations.items()}
    names = sorted(heights, key=lambda name: -heights[name])
    z = np.array([heights[name] for name in names])
    return interpolate(-np.asarray(z_mm, dtype=float), -z, np.array([LOCATIONS[NAMES.index(name)] for name in names]))
