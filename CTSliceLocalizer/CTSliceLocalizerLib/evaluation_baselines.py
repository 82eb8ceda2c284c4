"""What can be said of a scan without looking at it: the least that a model has to beat.

Each baseline answers for a scan by the truth of the other patients of its family, so it knows what kind of scan it is,
which the model is not told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .evaluation_cases import Case
from .landmarks import BODY_MM, NAMES

_FRACTIONS = np.linspace(0.0, 1.0, 101)


def same_place(cases: Sequence[Case]) -> list[Case]:
    """Every slice lies where the middle slice of the other patients lies in the mean."""
    middles = [float(np.median(case.true_mm)) for case in cases]
    return [_answered(case, np.full(len(case.true_mm), _mean_of_others(case, cases, middles))) for case in cases]


def same_fraction(cases: Sequence[Case]) -> list[Case]:
    """A slice lies where the slice at the same fraction of the other patients' scans lies in the mean."""
    courses = [np.interp(_FRACTIONS, np.linspace(0, 1, len(case.true_mm)), case.true_mm) for case in cases]
    return [
        _answered(
            case, np.interp(np.linspace(0, 1, len(case.true_mm)), _FRACTIONS, _mean_of_others(case, cases, courses))
        )
        for case in cases
    ]


def average_size(cases: Sequence[Case]) -> list[Case]:
    """The middle of the scan lies where that of the others does, and from there the patient is an average adult."""
    middles = [float(np.median(case.true_mm)) for case in cases]
    return [
        _answered(case, _mean_of_others(case, cases, middles) - (case.place - np.median(case.place)))
        if case.has_z
        else _answered(case, np.full(len(case.true_mm), np.nan))
        for case in cases
    ]


BASELINES = {
    "The same place for all slices": same_place,
    "The same fraction of the scan": same_fraction,
    "The middle of the scan, then mm": average_size,
}


def _mean_of_others(case: Case, cases: Sequence[Case], values: Sequence[np.ndarray | float]) -> np.ndarray | float:
    """Mean over the scans of other patients of the family; over all others where there is none."""
    others = [(other, value) for other, value in zip(cases, values) if other.patient != case.patient]
    of_family = [value for other, value in others if other.family == case.family]
    return np.mean(of_family or [value for _, value in others], axis=0)


def _answered(case: Case, found_mm: np.ndarray) -> Case:
    """The case with another answer; a landmark is where the answer passes its body coordinate."""
    errors = []
    order = np.argsort(found_mm)
    for error in case.landmarks:
        body = BODY_MM[NAMES.index(error.landmark)]
        z = float(np.interp(body, found_mm[order], case.place[order], left=np.nan, right=np.nan))
        off = z - error.true_z_mm
        errors.append(replace(error, error_mm=off if np.isfinite(off) else None, sigma_mm=float("nan")))
    unknown = np.full(len(found_mm), np.nan)
    return replace(case, found_mm=found_mm, raw_mm=unknown, sigma_mm=unknown, landmarks=tuple(errors), claimed=())
