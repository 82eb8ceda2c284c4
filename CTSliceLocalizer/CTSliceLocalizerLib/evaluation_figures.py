"""The figures of an evaluation: errors by part of the body and by landmark, their intervals, and calibration.

Intervals are 95 % percentile bootstrap over patients, not over slices: slices of one scan err together. With few
patients such an interval would be too narrow to be honest, so below ``MIN_PATIENTS`` there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.stats import norm

from .evaluation_cases import Case, LandmarkError
from .groundtruth import surely_outside
from .landmarks import BODY_MM, NAMES

SCHEMA = "ct-evaluation/1"
MIN_PATIENTS = 5
DRAWS = 2000
GROSS_MM = 60.0

RANGES = (
    ("Head: vertex to C1", "Top of head", "C1"),
    ("Neck: C1 to T1", "C1", "T1"),
    ("Upper chest: T1 to carina", "T1", "Bifurcation of trachea"),
    ("Lower chest: carina to T12", "Bifurcation of trachea", "T12"),
    ("Abdomen: T12 to iliac crest", "T12", "Tip of iliac crest"),
    ("Pelvis: crest to femoral head", "Tip of iliac crest", "Head of femur"),
)
"""Parts of the body, each with the landmarks at its ends."""

LEVELS = np.arange(0.1, 0.96, 0.05).round(2)
"""Probabilities at which calibration is looked at."""

_ALL = (-np.inf, np.inf)

Figures = dict[str, Any]


def figures(cases: Sequence[Case], *, seed: int = 0) -> Figures:
    """All figures as JSON; families of scans apart.

    Args:
        cases: at least one.
        seed: of the bootstrap.
    """
    families = list(dict.fromkeys(case.family for case in cases))
    return {
        "schema": SCHEMA,
        "scans": len(cases),
        "patients": len({case.patient for case in cases}),
        "refused": int(sum(not np.isfinite(case.found_mm).any() for case in cases)),
        "families": {name: _family([case for case in cases if case.family == name], seed) for name in families},
        "cases": [_one(case) for case in cases],
    }


def interval(
    patients: Sequence[np.ndarray], statistic: Callable[[np.ndarray], float], seed: int = 0
) -> tuple[float, float] | None:
    """95 % interval of a statistic of all values, by drawing patients with replacement.

    Args:
        patients: the values of each patient, in an order that does not depend on chance.
        statistic: of the values of all patients together.
        seed: of the draws.

    Returns:
        Its lower and upper end, or None with fewer than ``MIN_PATIENTS``.
    """
    if len(patients) < MIN_PATIENTS:
        return None
    rng = np.random.default_rng(seed)
    draws = rng.integers(0, len(patients), (DRAWS, len(patients)))
    if statistic is np.mean:  # of sums and numbers: fast for any number of slices
        sums, counts = (np.array([f(values) for values in patients]) for f in (np.sum, np.size))
        drawn = sums[draws].sum(axis=1) / counts[draws].sum(axis=1)
    else:
        drawn = [statistic(np.concatenate([patients[n] for n in draw])) for draw in draws]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)


def by_patient(values: Iterable[tuple[str, np.ndarray]]) -> list[np.ndarray]:
    """The values of each patient together, patients in the order of their names."""
    found: dict[str, list[np.ndarray]] = {}
    for patient, some in values:
        found.setdefault(patient, []).append(np.asarray(some, dtype=float))
    return [np.concatenate(found[patient]) for patient in sorted(found)]


def worst(cases: Iterable[Case], count: int) -> list[LandmarkError]:
    """The landmarks that are furthest off, at most two of a scan, and then some that were missed."""
    errors = [error for case in cases for error in case.landmarks]
    off = sorted((error for error in errors if error.error_mm is not None), key=lambda error: -abs(error.error_mm))
    kept: list[LandmarkError] = []
    for error in off:
        if sum(other.scan == error.scan for other in kept) < 2:
            kept.append(error)
    missed = [error for error in errors if error.error_mm is None and error.inside_true][: count // 2]
    return kept[: count - len(missed)] + missed


def _family(cases: Sequence[Case], seed: int) -> Figures:
    errors = [error for case in cases for error in case.landmarks]
    return {
        "scans": len(cases),
        "patients": len({case.patient for case in cases}),
        "all_landmarks": _of_landmarks("All landmarks", errors, seed),
        "landmarks": [
            _of_landmarks(name, [error for error in errors if error.landmark == name], seed)
            for name in NAMES
            if any(error.landmark == name for error in errors)
        ],
        "all_slices": _of_slices("All slices", cases, _ALL, seed),
        "single_slices": _of_slices("Slices by themselves", [_without_curve(case) for case in cases], _ALL, seed),
        "ranges": [
            {"from": upper, "to": lower, **_of_slices(name, cases, _ends(upper, lower), seed)}
            for name, upper, lower in RANGES
        ],
        "outside": _outside(cases),
        "calibration": _calibration(cases, errors),
    }


def _without_curve(case: Case) -> Case:
    """The same scan as the network has its slices one by one, before the curve through all of them."""
    return replace(case, found_mm=case.raw_mm)


def _outside(cases: Sequence[Case]) -> Figures:
    """How often a scan is said to show a landmark from which it ends far away."""
    far, claimed = 0, []
    for case in cases:
        annotated = {error.landmark for error in case.landmarks}
        for name in NAMES:
            if name not in annotated and surely_outside(name, case.true_mm, annotated):
                far += 1
                if name in case.claimed:
                    claimed.append(f"{case.name}: {name}")
    return {"landmarks": far, "claimed": len(claimed), "which": claimed}


def _of_landmarks(name: str, errors: Sequence[LandmarkError], seed: int) -> Figures:
    """Figures of the distances between the landmarks found and annotated."""
    off = by_patient((error.patient, np.array([error.error_mm])) for error in errors if error.error_mm is not None)
    result = {
        "name": name,
        "patients": len({error.patient for error in errors}),
        "landmarks": len(errors),
        "missed": int(sum(error.error_mm is None and error.inside_true for error in errors)),
        "gross_not_flagged": int(
            sum(not e.flagged and e.error_mm is not None and abs(e.error_mm) > GROSS_MM for e in errors)
        ),
    }
    claimed = [error.sigma_mm for error in errors if error.error_mm is not None and np.isfinite(error.sigma_mm)]
    result["sigma_mm"] = _round(np.median(claimed)) if claimed else None
    return result | _statistics(off, np.median, seed)


def _of_slices(name: str, cases: Sequence[Case], ends: tuple[float, float], seed: int) -> Figures:
    """Figures of the slices between two body coordinates."""
    off = []
    for case in cases:
        inside = case.known & (case.true_mm >= ends[0]) & (case.true_mm <= ends[1])
        error = (case.found_mm - case.true_mm)[inside]
        if np.isfinite(error).any():
            off.append((case.patient, -error[np.isfinite(error)]))  # up is positive, as for z
    patients = by_patient(off)
    count = sum(len(values) for values in patients)
    return {"name": name, "patients": len(patients), "slices": count} | _statistics(patients, np.mean, seed)


def _statistics(patients: Sequence[np.ndarray], main: Callable, seed: int) -> Figures:
    """Mean, median and so on of the distances, the bias, and the interval of the one that ``main`` is."""
    if not patients:
        return dict.fromkeys(("median_mm", "mean_mm", "p90_mm", "p95_mm", "worst_mm", "bias_mm", "interval_mm"))
    values = np.concatenate(patients)
    distance = np.abs(values)
    ends = interval([np.abs(one) for one in patients], main, seed)
    return {
        "median_mm": _round(np.median(distance)),
        "mean_mm": _round(distance.mean()),
        "p90_mm": _round(np.percentile(distance, 90)),
        "p95_mm": _round(np.percentile(distance, 95)),
        "worst_mm": _round(distance.max()),
        "bias_mm": _round(values.mean()),
        "interval_mm": None if ends is None else [_round(end) for end in ends],
    }


def _calibration(cases: Sequence[Case], errors: Sequence[LandmarkError]) -> Figures | None:
    """How often the truth lies within the interval that a sigma claims, for landmarks and for slices."""
    found = [(error.error_mm, error.sigma_mm, error.patient) for error in errors if error.error_mm is not None]
    landmarks = np.array([off / sigma for off, sigma, _ in found if np.isfinite(sigma) and sigma > 0])
    scaled = [((case.found_mm - case.true_mm) / case.sigma_mm)[case.known] for case in cases]
    slices = np.concatenate(scaled) if scaled else np.empty(0)
    slices = slices[np.isfinite(slices)]
    if not len(landmarks) and not len(slices):
        return None
    return {
        "patients": len({case.patient for case in cases}),
        "landmarks": _coverage(landmarks),
        "slices": _coverage(slices),
    }


def _coverage(scaled: np.ndarray) -> Figures | None:
    if not len(scaled):
        return None
    widths = norm.ppf((1 + LEVELS) / 2)
    return {
        "count": len(scaled),
        "rms": _round(np.sqrt(np.mean(scaled**2)), 2),
        "within_1_sigma": _round(np.mean(np.abs(scaled) <= 1), 3),
        "within_2_sigma": _round(np.mean(np.abs(scaled) <= 2), 3),
        # By what all sigmas would have to be multiplied so that 90 % lie within two of them.
        "needed": _round(np.percentile(np.abs(scaled), 90) / 2, 2),
        "claimed": LEVELS.tolist(),
        "observed": [_round(np.mean(np.abs(scaled) <= width), 3) for width in widths],
    }


def _one(case: Case) -> Figures:
    off = case.off_mm
    return {
        "name": case.name,
        "patient": case.patient,
        "family": case.family,
        "slices": len(off),
        "mean_mm": _round(np.abs(off).mean()) if len(off) else None,
        "warnings": list(case.warnings),
        "landmarks": {
            error.landmark: {
                "error_mm": None if error.error_mm is None else _round(error.error_mm),
                "sigma_mm": _round(error.sigma_mm) if np.isfinite(error.sigma_mm) else None,
            }
            for error in case.landmarks
        },
    }


def _ends(upper: str, lower: str) -> tuple[float, float]:
    return tuple(float(BODY_MM[NAMES.index(name)]) for name in (upper, lower))


def _round(value: float, digits: int = 1) -> float:
    return round(float(value), digits)
