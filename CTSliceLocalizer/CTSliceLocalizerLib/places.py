"""From a height of one scan to the same height of the other, both ways: what linked scrolling asks at every step.

``matching.match`` says where the slices of the baseline lie in the follow-up. Here that map is read at any height and
backwards, with the user's own correction on top, in microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from CTVolumeLib.errors import CTError

from .matching import Match


@dataclass(frozen=True)
class Place:
    """Where a height of one scan lies in the other.

    Attributes:
        from_mm: LPS z in the scan it was asked for.
        z_mm: LPS z in the other scan, the user's correction included; also beyond its ends.
        sigma_mm: standard deviation of ``z_mm``; what the user corrects is not known better for it.
        covered: whether both scans show this height.
        beyond_mm: how far the height lies outside the other scan, 0 inside.
        inside: whether the scan it was asked for shows the height at all.
        registered: whether the images confirmed it.
    """

    from_mm: float
    z_mm: float
    sigma_mm: float
    covered: bool
    beyond_mm: float
    inside: bool
    registered: bool


class PlaceMap:
    """The map of a match, both ways.

    Args:
        match: of two located scans.
        offset_mm: added to every height of the follow-up.

    Raises:
        CTError: the match was refused, or the scans show different parts of the body.
    """

    def __init__(self, match: Match, offset_mm: float = 0.0) -> None:
        if match.refused:
            raise CTError(match.refused.code, match.refused.text, "Choose other volumes.")
        if match.line is None:
            text = next((flag.text for flag in match.flags), "The two scans show different parts of the body.")
            raise CTError("no_overlap", text, "Choose other volumes.")
        self.offset_mm = float(offset_mm)
        line = match.line
        self._baseline = np.asarray(line.baseline_z_mm, dtype=float)
        self._followup = np.asarray(line.followup_z_mm, dtype=float)
        self._sigma = np.asarray(line.sigma_mm, dtype=float)
        self._registered = np.asarray(line.registered, dtype=bool)
        self._slices = np.asarray(line.slices_z_mm, dtype=float)
        self._direction = -1.0 if self._followup[-1] < self._followup[0] else 1.0

    @property
    def baseline_range_mm(self) -> tuple[float, float]:
        """Lowest and highest height of the baseline, half a slice beyond its ends included."""
        return _ends(self._baseline)

    @property
    def followup_range_mm(self) -> tuple[float, float]:
        """Lowest and highest height of the follow-up, half a slice beyond its ends included."""
        return _ends(self._slices)

    def to_followup(self, z_mm: float) -> Place:
        """Where a height of the baseline lies in the follow-up.

        Args:
            z_mm: LPS z in the baseline.
        """
        found = _straight_on(z_mm, self._baseline, self._followup, self._direction) + self.offset_mm
        return self._place(z_mm, found, z_mm, self.baseline_range_mm, self.followup_range_mm)

    def to_baseline(self, z_mm: float) -> Place:
        """Where a height of the follow-up lies in the baseline.

        Args:
            z_mm: LPS z in the follow-up.
        """
        step = int(self._direction)
        found = _straight_on(
            z_mm - self.offset_mm, self._followup[::step], self._baseline[::step], self._direction
        )  # np.interp wants increasing heights
        return self._place(z_mm, found, found, self.followup_range_mm, self.baseline_range_mm)

    def middle_mm(self) -> float:
        """The height of the baseline in the middle of what both scans show."""
        low, high = self.followup_range_mm
        places = self._followup + self.offset_mm
        shared = self._baseline[(places >= low) & (places <= high)]
        return float(np.mean(shared[[0, -1]])) if len(shared) else float(np.mean(self.baseline_range_mm))

    def _place(
        self, asked: float, found: float, baseline_z: float, own: tuple[float, float], other: tuple[float, float]
    ) -> Place:
        inside = own[0] <= asked <= own[1]
        beyond = max(other[0] - found, found - other[1], 0.0)
        return Place(
            from_mm=float(asked),
            z_mm=float(found),
            sigma_mm=float(np.interp(baseline_z, self._baseline, self._sigma)),
            covered=bool(inside and beyond == 0.0),
            beyond_mm=float(beyond),
            inside=bool(inside),
            registered=bool(self._registered[np.abs(self._baseline - baseline_z).argmin()]),
        )


def _straight_on(z_mm: float, known: np.ndarray, values: np.ndarray, direction: float) -> float:
    """Linear interpolation; beyond the ends a millimetre is a millimetre."""
    inner = float(np.clip(z_mm, known[0], known[-1]))
    return float(np.interp(inner, known, values)) + direction * (float(z_mm) - inner)


def _ends(z_mm: np.ndarray) -> tuple[float, float]:
    half = 0.5 * (float(np.median(np.diff(z_mm))) if len(z_mm) > 1 else 5.0)
    return float(z_mm[0]) - half, float(z_mm[-1]) + half
