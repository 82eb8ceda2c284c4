"""Where a slice of a baseline scan lies in a follow-up of the same patient, and the file ``match.json`` (ct-match/1).

Both scans have been located, so each slice has a body coordinate. Two scans of one patient differ by an offset and by
smooth local displacements of some millimetres (posture, breathing), never by jumps: the whole overlap is fitted at
once, never slice by slice. ``registration.refine`` then improves the result with the images.

What a match is, and what it isn't: between two *patients* the same vertebra is not the same organ slice (2-3 cm
apart), so the figures here hold for one patient. And a different breath moves the base of the lungs and the organs
below it by centimetres while the spine stays: there no single z is right for both, and the match follows the slice as
a whole.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from CTVolumeLib.errors import CTError
from CTVolumeLib.files import write_atomic

from . import profiles
from .results import Flag, ScanLocation

SCHEMA = "ct-match/1"

ERROR_LENGTH_MM = 80.0
"""Over this distance along the body the errors of the curves are alike, so more slices don't average them out."""
LANDMARK_SHARE = 0.7
"""Correlation of the error of a landmark with that of the curve at the same place."""
DISPLACEMENT_MM = 8.0
"""Standard deviation of the smooth displacement between two examinations (posture, breathing)."""
DISPLACEMENT_LENGTH_MM = 100.0
"""Distance over which that displacement changes."""
STRETCH = 0.02
"""Standard deviation of the scale between two scans of one patient, 1 = no change."""
SCALE_TOLERANCE = 0.1
"""A scale further from 1 than this is another patient or wrong slice spacing."""
LITTLE_OVERLAP_MM = 40.0
UNCERTAIN_MM = 8.0
"""With a standard deviation above this a slice may well be off by two centimetres, which the user has to know."""
_MIN_SLOPE = 0.2
_SAMPLE_MM = 6.0


@dataclass(frozen=True)
class Pair:
    """One height of the baseline and its place in the follow-up.

    Attributes:
        baseline_index: slice of the baseline, as stored (the nearest one for a height between slices).
        baseline_z_mm: LPS z.
        followup_index: nearest slice of the follow-up, as stored; None where it is not covered.
        followup_z_mm: LPS z, continuous; None where it is not covered.
        sigma_mm: standard deviation of followup_z_mm; None where it is not covered.
        covered: whether the follow-up shows this height.
        method: ``"curve"`` or ``"registered"``.
    """

    baseline_index: int
    baseline_z_mm: float
    followup_index: int | None
    followup_z_mm: float | None
    sigma_mm: float | None
    covered: bool
    method: str = "curve"


@dataclass(frozen=True, eq=False)
class Line:
    """The whole map behind a match, also where the follow-up ends; arrays in order of increasing z.

    Attributes:
        baseline_z_mm: (n,) LPS z of the baseline's slices.
        baseline_index: (n,) their indices as stored.
        followup_z_mm: (n,) matched LPS z, beyond the follow-up too; increasing, or decreasing where one of the scans is
            upside-down.
        sigma_mm: (n,) standard deviation.
        registered: (n,) whether the images confirmed it.
        slices_z_mm: (m,) LPS z of the follow-up's slices.
        slices_index: (m,) their indices as stored.
    """

    baseline_z_mm: np.ndarray
    baseline_index: np.ndarray
    followup_z_mm: np.ndarray
    sigma_mm: np.ndarray
    registered: np.ndarray
    slices_z_mm: np.ndarray
    slices_index: np.ndarray


@dataclass(frozen=True, eq=False)
class Match:
    """The result: one pair for each baseline slice, or for each height that was asked for.

    Attributes:
        pairs: in the order of the baseline's axial slices, or of ``at``.
        flags: what the user has to know before trusting it.
        refused: why there is no result, or None.
        line: the map behind the pairs; None where it was refused or the scans don't overlap.
    """

    pairs: tuple[Pair, ...]
    flags: tuple[Flag, ...] = ()
    refused: Flag | None = None
    line: Line | None = None

    def at(self, z_mm: Sequence[float]) -> Match:
        """The same match for chosen heights of the baseline.

        Args:
            z_mm: LPS z in mm, within the baseline (half a slice beyond its ends is fine).

        Raises:
            CTError: a height outside the baseline.
        """
        if self.refused:
            return self
        if self.line is None:
            known = np.array([pair.baseline_z_mm for pair in self.pairs])
            nearest = [self.pairs[k] for k in _nearest(known, _inside(z_mm, known))]
            return replace(self, pairs=tuple(replace(pair, baseline_z_mm=float(z)) for pair, z in zip(nearest, z_mm)))
        return replace(self, pairs=_pairs(self.line, _inside(z_mm, self.line.baseline_z_mm)))

    def with_line(self, line: Line) -> Match:
        """The same match with an improved map, pairs for the same heights."""
        flags = tuple(flag for flag in self.flags if flag.code != "uncertain_match")
        pairs = _pairs(line, np.array([pair.baseline_z_mm for pair in self.pairs]))
        return replace(self, line=line, pairs=pairs, flags=(*flags, *_doubt(pairs)))

    def with_scale(self, scale: float, length_mm: float) -> Match:
        """The same match with the warning about the scale that a better estimate gives.

        Args:
            scale: as for ``scale_flag``.
            length_mm: over which it was measured; over a short length posture and breath alone change it.
        """
        flags = tuple(flag for flag in self.flags if flag.code != "scale_differs")
        tolerance = max(SCALE_TOLERANCE, 3 * DISPLACEMENT_MM / length_mm)
        return replace(self, flags=(*flags, scale_flag(scale)) if abs(scale - 1) > tolerance else flags)

    def to_json(self) -> dict[str, Any]:
        """The content of match.json."""
        return {
            "schema": SCHEMA,
            "refused": None if self.refused is None else vars(self.refused),
            "pairs": [
                {key: round(value, 3) if isinstance(value, float) else value for key, value in vars(pair).items()}
                for pair in self.pairs
            ],
            "flags": [vars(flag) for flag in self.flags],
        }

    def write(self, path: Path | str) -> None:
        """Write match.json."""
        write_atomic(path, json.dumps(self.to_json(), indent=1))


def match(baseline: ScanLocation, followup: ScanLocation, at: Sequence[float] | None = None) -> Match:
    """Match two located scans of one patient.

    The difference of the heights at which both scans show the same body coordinate is modelled as offset + stretch +
    smooth displacement, and estimated from all shared slices and landmarks together (Gaussian process regression,
    Rasmussen and Williams 2006, section 2.7), outliers down-weighted. The curves' errors are treated as correlated
    along the body, so that a long overlap doesn't make the result look more certain than it is. What the network says
    of each slice by itself, and what it sees there, then tells how far the two curves are apart (see ``profiles``).

    Args:
        baseline: the scan whose slices are looked for.
        followup: the scan in which they are looked for.
        at: LPS z heights of the baseline in mm; None for all its slices.

    Raises:
        CTError: a height outside the baseline.
    """
    for name, scan in (("baseline", baseline), ("follow-up", followup)):
        if scan.refused:
            return Match(
                (), refused=Flag(f"{name.replace('-', '')}_refused", f"The {name} was refused: {scan.refused.text}")
            )
    if at is not None:
        _inside(at, baseline.z_mm)
    if _turned(baseline) != _turned(followup):
        return _opposite(baseline, followup, at)
    first, last = _shared_body(baseline, followup)
    overlap = last - first
    if overlap <= 0:
        text = f"The two scans show different parts of the body, about {-overlap:.0f} mm apart."
        result = Match(_uncovered(baseline), (Flag("no_overlap", text),))
        return result if at is None else result.at(at)
    flags = []
    if overlap < LITTLE_OVERLAP_MM:
        flags.append(Flag("little_overlap", f"The two scans share only about {overlap:.0f} mm; matches are uncertain."))
    z_mm, difference, variance, common = _evidence(baseline, followup)
    scale, scale_sigma = _scale(z_mm, difference, variance)
    stretch = STRETCH
    if abs(scale - 1) > max(SCALE_TOLERANCE, 1.5 * scale_sigma):
        stretch = abs(scale - 1)
        flags.append(scale_flag(scale))
    shift, sigma = _regress(z_mm, difference, variance, common, stretch, baseline.z_mm)
    moved, sigma = profiles.offset(baseline, followup, baseline.z_mm + shift, sigma)
    half_slice = 0.5 * max(_spacing(baseline.z_mm), _spacing(followup.z_mm))
    line = Line(
        baseline_z_mm=baseline.z_mm,
        baseline_index=baseline.index,
        followup_z_mm=increasing(baseline.z_mm, baseline.z_mm + shift + moved),
        sigma_mm=np.hypot(sigma, half_slice / np.sqrt(3)),
        registered=np.zeros(len(baseline.z_mm), dtype=bool),
        slices_z_mm=followup.z_mm,
        slices_index=followup.index,
    )
    pairs = _pairs(line, baseline.z_mm)
    result = Match(pairs, (*flags, *_doubt(pairs)), line=line)
    return result if at is None else result.at(at)


def _turned(scan: ScanLocation) -> bool:
    """Whether the picture contradicts the header: the body coordinate grows with z, so the scan is upside-down."""
    return bool(scan.body_mm[-1] > scan.body_mm[0])


def _opposite(baseline: ScanLocation, followup: ScanLocation, at: Sequence[float] | None) -> Match:
    """The match where one of the two scans is upside-down: that with the follow-up mirrored, mirrored back."""
    mirrored = replace(
        followup,
        z_mm=-followup.z_mm[::-1],
        body_mm=followup.body_mm[::-1],
        raw=followup.raw[::-1],
        sigma_mm=followup.sigma_mm[::-1],
        index=followup.index[::-1],
        appearance=None if followup.appearance is None else followup.appearance.mirrored(),
        landmarks=tuple(
            replace(landmark, z_mm=None if landmark.z_mm is None else -landmark.z_mm) for landmark in followup.landmarks
        ),
    )
    found = match(baseline, mirrored)
    text = "One of the two scans is upside-down, so they are matched by their curves only."
    found = replace(found, flags=(*found.flags, Flag("opposite_directions", text)))
    if found.line is not None:
        line = found.line
        found = found.with_line(
            replace(
                line,
                followup_z_mm=-line.followup_z_mm,
                slices_z_mm=-line.slices_z_mm[::-1],
                slices_index=line.slices_index[::-1],
            )
        )
    return found if at is None else found.at(at)


def scale_flag(scale: float) -> Flag:
    """The warning that the two scans are not equally long, mm to mm.

    Args:
        scale: length in the follow-up of a millimetre of the baseline.
    """
    return Flag(
        "scale_differs",
        f"The follow-up's anatomy seems to be {scale:.2f} times as long as the baseline's: another patient, or a wrong "
        "slice spacing in one of the headers.",
    )


def increasing(baseline_z_mm: np.ndarray, followup_z_mm: np.ndarray) -> np.ndarray:
    """The nearest map that never turns back: its slope is at least a fifth everywhere.

    Args:
        baseline_z_mm: (n,) increasing.
        followup_z_mm: (n,) matched heights.
    """
    rest = followup_z_mm - _MIN_SLOPE * baseline_z_mm
    up, down = np.maximum.accumulate(rest), np.minimum.accumulate(rest[::-1])[::-1]
    return (up + down) / 2 + _MIN_SLOPE * baseline_z_mm


def _evidence(baseline: ScanLocation, followup: ScanLocation) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What both scans say about the difference of their heights.

    Returns:
        (n,) baseline z; (n,) follow-up z minus baseline z; (n,) variance of that; (n,) the share of its error that is
        common to its neighbourhood: 1 for slices, less for landmarks.
    """
    first, last = (
        max(baseline.body_mm.min(), followup.body_mm.min()),
        min(baseline.body_mm.max(), followup.body_mm.max()),
    )
    body = np.linspace(first, last, int(np.clip((last - first) / _SAMPLE_MM, 2, 200)))
    z_1, sigma_1 = _height(baseline, body)
    z_2, sigma_2 = _height(followup, body)
    shared = [
        (one.z_mm, two.z_mm, one.sigma_mm, two.sigma_mm)
        for one, two in zip(baseline.landmarks, followup.landmarks)
        if one.inside and two.inside
    ]
    landmarks = np.array(shared, dtype=float).reshape(-1, 4)
    z_1, z_2 = np.append(z_1, landmarks[:, 0]), np.append(z_2, landmarks[:, 1])
    sigma_1, sigma_2 = np.append(sigma_1, landmarks[:, 2]), np.append(sigma_2, landmarks[:, 3])
    # The same network errs alike on the same anatomy, but measured on follow-ups by known maps the sigmas of two scans
    # are no larger than the differences, so nothing is taken off.
    variance = sigma_1**2 + sigma_2**2
    return z_1, z_2 - z_1, np.maximum(variance, 1.0), np.where(np.arange(len(z_1)) < len(body), 1.0, LANDMARK_SHARE)


def _shared_body(baseline: ScanLocation, followup: ScanLocation) -> tuple[float, float]:
    """First and last body coordinate that both scans show, in mm; the last one is the smaller where there is none."""
    ends = []
    for scan in (baseline, followup):
        half = 0.5 * _spacing(scan.z_mm)
        ends.append((scan.body_mm.min() - half, scan.body_mm.max() + half))
    return max(start for start, _ in ends), min(stop for _, stop in ends)


def _height(scan: ScanLocation, body_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """LPS z at which a scan shows a body coordinate, and its standard deviation, mm."""
    order = np.argsort(scan.body_mm)
    along = scan.body_mm[order] + np.arange(len(order)) * 1e-6
    z_mm = np.interp(body_mm, along, scan.z_mm[order])
    slope = abs(np.polyfit(scan.z_mm, scan.body_mm, 1)[0]) if len(along) > 2 else 1.0
    return z_mm, np.interp(body_mm, along, scan.sigma_mm[order]) / np.clip(slope, 0.5, 2.0)


def _scale(z_mm: np.ndarray, difference: np.ndarray, variance: np.ndarray) -> tuple[float, float]:
    """Slope of follow-up z against baseline z over the overlap, and its standard deviation."""
    span = np.ptp(z_mm)
    if span < 2 * LITTLE_OVERLAP_MM:
        return 1.0, np.inf
    slope = np.polyfit(z_mm - z_mm.mean(), difference, 1, w=1 / np.sqrt(variance))[0]
    independent = max(span / ERROR_LENGTH_MM, 2.0)
    sigma = np.sqrt(np.mean(variance) + DISPLACEMENT_MM**2) / (np.std(z_mm) * np.sqrt(independent))
    return 1.0 + float(slope), float(sigma)


def _regress(
    z_mm: np.ndarray,
    difference: np.ndarray,
    variance: np.ndarray,
    common: np.ndarray,
    stretch: float,
    wanted: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the difference of heights at ``wanted`` (m,) mm."""
    centre, level = z_mm.mean(), np.median(difference)

    def prior(one: np.ndarray, two: np.ndarray) -> np.ndarray:
        smooth = np.exp(-0.5 * ((one[:, None] - two) / DISPLACEMENT_LENGTH_MM) ** 2)
        line = np.outer(one - centre, two - centre)
        return DISPLACEMENT_MM**2 * smooth + stretch**2 * line + 1e4

    alike = np.exp(-np.abs(z_mm[:, None] - z_mm) / ERROR_LENGTH_MM) * np.outer(common, common)
    np.fill_diagonal(alike, 1.0)
    covariance, cross = prior(z_mm, z_mm), prior(wanted, z_mm)
    sigma = np.sqrt(variance)
    noise = alike * np.outer(sigma, sigma)
    doubt = np.zeros(len(z_mm))
    for _ in range(4):
        solved = np.linalg.solve(covariance + noise + np.diag(doubt + 0.25), cross.T).T
        mean = solved @ (difference - level) + level
        # Cauchy's weights: what is off by more than 2 standard deviations counts less and less, as if noise of its own
        # had been added to it.
        residual = np.abs(difference - np.interp(z_mm, wanted, mean)) / sigma
        doubt = variance * (np.maximum(residual / 2.0, 1.0) ** 2 - 1.0)
    spread = np.diag(prior(wanted, wanted)) - np.sum(solved * cross, axis=1)
    return mean, np.sqrt(np.maximum(spread, 0.0))


def _pairs(line: Line, z_mm: np.ndarray) -> tuple[Pair, ...]:
    """Pairs for heights of the baseline."""
    # Half a slice beyond the ends is still the last slice; np.interp would stick to its height.
    inner = np.clip(z_mm, line.baseline_z_mm[0], line.baseline_z_mm[-1])
    direction = -1.0 if line.followup_z_mm[-1] < line.followup_z_mm[0] else 1.0
    matched = np.interp(inner, line.baseline_z_mm, line.followup_z_mm) + direction * (z_mm - inner)
    sigma = np.interp(inner, line.baseline_z_mm, line.sigma_mm)
    half = 0.5 * _spacing(line.slices_z_mm)
    covered = (matched >= line.slices_z_mm[0] - half) & (matched <= line.slices_z_mm[-1] + half)
    slices, found = _nearest(line.baseline_z_mm, z_mm), _nearest(line.slices_z_mm, matched)
    return tuple(
        Pair(
            baseline_index=int(line.baseline_index[slices[n]]),
            baseline_z_mm=float(z_mm[n]),
            followup_index=int(line.slices_index[found[n]]) if covered[n] else None,
            followup_z_mm=float(matched[n]) if covered[n] else None,
            sigma_mm=float(sigma[n]) if covered[n] else None,
            covered=bool(covered[n]),
            method="registered" if line.registered[slices[n]] else "curve",
        )
        for n in range(len(z_mm))
    )


def _doubt(pairs: Sequence[Pair]) -> tuple[Flag, ...]:
    """The warning of matches of which some are very uncertain, if they are."""
    sigmas = np.array([pair.sigma_mm for pair in pairs if pair.covered])
    if not np.any(sigmas > UNCERTAIN_MM):
        return ()
    which = "The" if np.median(sigmas) > UNCERTAIN_MM else "Some of the"
    text = f"{which} matched slices may be off by {2 * sigmas.max():.0f} mm; compare them by eye."
    return (Flag("uncertain_match", text),)


def _uncovered(baseline: ScanLocation) -> tuple[Pair, ...]:
    return tuple(Pair(int(index), float(z), None, None, None, False) for index, z in zip(baseline.index, baseline.z_mm))


def _inside(z_mm: Sequence[float], slices_z_mm: np.ndarray) -> np.ndarray:
    """The heights as an array, or an error where one is outside the slices."""
    wanted = np.asarray(z_mm, dtype=float)
    half = 0.5 * _spacing(slices_z_mm)
    low, high = slices_z_mm.min() - half, slices_z_mm.max() + half
    outside = wanted[~((wanted >= low) & (wanted <= high))]
    if len(outside):
        raise CTError(
            "outside_baseline",
            f"The height z = {outside[0]:g} mm is outside the baseline.",
            f"Its slices lie between {slices_z_mm.min():.1f} and {slices_z_mm.max():.1f} mm.",
        )
    return wanted


def _nearest(sorted_mm: np.ndarray, wanted_mm: np.ndarray) -> np.ndarray:
    """Position of the nearest element of an increasing array, for each wanted value."""
    return np.abs(sorted_mm[None, :] - np.asarray(wanted_mm)[:, None]).argmin(axis=1)


def _spacing(z_mm: np.ndarray) -> float:
    """Typical distance of the slices, mm; for a single slice a common thickness."""
    return float(np.median(np.diff(z_mm))) if len(z_mm) > 1 else 5.0
