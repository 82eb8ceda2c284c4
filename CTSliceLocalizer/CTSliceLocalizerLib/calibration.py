"""How much less sure a model must be than its networks are, by part of the body; measured on patients it never saw.

The networks know how clear a slice is, not how far the patient differs from those they learned from. What that adds is
measured by cross-validation: for each part of the body the smallest sigma that, added in quadrature, brings somewhat
more than nine of ten errors within two sigma, since the next patient is a little less like those measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .landmarks import BODY_MM, NAMES

if TYPE_CHECKING:
    from .evaluation_cases import Case

WITHIN = 0.93
"""Part of the errors that shall be within two sigma."""
KNOTS_MM = np.arange(-60.0, 961.0, 60.0)
KERNEL_MM = 60.0
"""Standard deviation of the weights with which slices beside a knot count for it."""
FAMILY_PATIENTS = 10.0
PRIOR_PATIENTS = 2.0
"""The figure for the whole body counts as so many patients for each part and landmark: few patients prove little."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """What is added in quadrature to the sigma of the curve.

    Attributes:
        slices_mm: (knots,) for a slice at each of ``KNOTS_MM``.
        landmarks_mm: (12,) for each landmark.
    """

    slices_mm: np.ndarray
    landmarks_mm: np.ndarray

    @classmethod
    def of_card(cls, card: Mapping[str, Any]) -> Calibration:
        """What a model's card says; nothing is added for a model that was never calibrated."""
        entry = card.get("calibration")
        if not entry:
            return NONE
        slices, landmarks = np.array(entry["slices_mm"], float), entry["landmarks_mm"]
        return cls(slices, np.array([landmarks[name] for name in NAMES], float))

    def to_card(self) -> dict[str, Any]:
        """The entry ``calibration`` of a card."""
        return {
            "body_mm": KNOTS_MM.tolist(),
            "slices_mm": self.slices_mm.round(1).tolist(),
            "landmarks_mm": dict(zip(NAMES, self.landmarks_mm.round(1).tolist())),
        }

    def of_slices(self, sigma_mm: np.ndarray, body_mm: np.ndarray) -> np.ndarray:
        """(k,) sigma that slices at the body coordinates (k,) may claim."""
        return np.hypot(sigma_mm, np.interp(body_mm, KNOTS_MM, self.slices_mm))

    def of_landmark(self, sigma_mm: float, number: int) -> float:
        """Sigma that a landmark may claim."""
        return float(np.hypot(sigma_mm, self.landmarks_mm[number]))

    def of_case(self, case: Case) -> Case:
        """The same scan as a model with this calibration would have answered."""
        marks = tuple(
            replace(error, sigma_mm=self.of_landmark(error.sigma_mm, NAMES.index(error.landmark)))
            for error in case.landmarks
        )
        return replace(case, sigma_mm=self.of_slices(case.sigma_mm, case.found_mm), landmarks=marks)


NONE = Calibration(np.zeros(len(KNOTS_MM)), np.zeros(len(NAMES)))
"""Adds nothing."""


def measure(cases: Sequence[Case]) -> Calibration:
    """The calibration under which ``WITHIN`` of the errors are within two sigma.

    Every patient counts the same, however many slices he has, and a family of scans that look alike as no more than
    ``FAMILY_PATIENTS``, so that a large one does not speak for all.

    Args:
        cases: of patients that the model never saw, with sigmas to which nothing was added.
    """
    slices = [(case, case.known & np.isfinite(case.found_mm)) for case in cases]
    slices = [(case, used) for case, used in slices if used.any()]
    if not slices:
        return NONE
    body = np.concatenate([case.found_mm[used] for case, used in slices])
    lacking = np.concatenate([_lacking(case.off_mm, case.sigma_mm[used]) for case, used in slices])
    patients = np.concatenate([np.repeat(case.patient, used.sum()) for case, used in slices])
    families = np.concatenate([np.repeat(case.family, used.sum()) for case, used in slices])
    whole = _quantile(lacking, np.ones(len(body)), patients, families)
    added = []
    for knot in KNOTS_MM:
        near = np.exp(-0.5 * np.minimum((body - knot) / KERNEL_MM, 30.0) ** 2)
        added.append(_quantile(lacking, near, patients, families, whole))
    by_landmark = []
    for name, at in zip(NAMES, BODY_MM):
        errors = [e for case in cases for e in case.landmarks if e.landmark == name and e.error_mm is not None]
        lacks = _lacking(np.array([e.error_mm for e in errors]), np.array([e.sigma_mm for e in errors]))
        there = np.interp(at, KNOTS_MM, added)
        groups = (np.array([getattr(e, which) for e in errors]) for which in ("patient", "family"))
        by_landmark.append(_quantile(lacks, np.ones(len(errors)), *groups, there))
    return Calibration(np.sqrt(added), np.sqrt(by_landmark))


def crosswise(folds: Sequence[Sequence[Case]]) -> list[Case]:
    """The cases of each fold under the calibration that all other folds give, as for a patient never seen."""
    calibrated = []
    for fold in folds:
        others = [case for other in folds if other is not fold for case in other]
        calibrated += [measure(others).of_case(case) for case in fold] if others else list(fold)
    return calibrated


def _lacking(error_mm: np.ndarray, sigma_mm: np.ndarray) -> np.ndarray:
    """Square of what sigma lacks so that the error is two sigma; negative where it is less already."""
    return (error_mm / 2) ** 2 - sigma_mm**2


def _quantile(
    lacking: np.ndarray,
    near: np.ndarray,
    patients: np.ndarray,
    families: np.ndarray,
    prior: float | None = None,
) -> float:
    """The quantile ``WITHIN`` of what lacks, at least 0, with the prior where there is one."""
    if not len(lacking):
        return prior or 0.0
    weight = np.zeros(len(lacking))
    counted = 0.0
    for family in np.unique(families):
        own = families == family
        shown = 0.0  # patients of this family who show the place; one who ends near it counts in part
        for patient in np.unique(patients[own]):
            his = own & (patients == patient)
            closest = near[his].max()
            weight[his] = closest * near[his] / near[his].sum()
            shown += closest
        weight[own] *= min(1.0, FAMILY_PATIENTS / shown)
        counted += shown
    order = np.argsort(lacking)
    total = np.cumsum(weight[order])
    found = max(0.0, float(lacking[order][np.searchsorted(total, WITHIN * total[-1])]))
    return found if prior is None else (counted * found + PRIOR_PATIENTS * prior) / (counted + PRIOR_PATIENTS)
