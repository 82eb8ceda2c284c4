"""From what the networks say of single slices to the location of the whole scan.

The scan is read as a hidden Markov model. The hidden state of a slice is its body coordinate; from one 4 mm cell to
the next towards the head it falls by 4 mm times the patient's size, give or take; the networks' distributions are the
evidence. The forward-backward algorithm (Rabiner, Proc IEEE 77:257, 1989) then gives the distribution of every slice's
body coordinate given all slices: monotone, robust against single wrong slices, with a standard deviation. It is run
for several sizes at once, which are weighted by their evidence. The evidence for the scan as a whole gives away one
that is stored upside-down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d

from . import bodyscale, calibration, landmarks
from .bodyscale import BIN_CENTRES
from .landmarks import BODY_MM, LANDMARKS, LOCATIONS
from .results import Appearance, Coverage, Flag, LandmarkEstimate, ScanLocation, refusal
from .slicegrid import CELL_MM

STATE_MM = 2.0
STATES = np.arange(BIN_CENTRES[0], BIN_CENTRES[-1] + 0.1, STATE_MM)
SCALES = np.arange(0.76, 1.29, 0.06)
"""Sizes of patients that are tried: mm of body coordinate for each mm of scan."""
SCALE_SPREAD = 0.08
"""Standard deviation of that size over adults."""
STEP_JITTER = 0.06
"""Probability that one cell advances by a state more, and that it advances by one less."""
EVIDENCE_SHARE = 0.3
"""Neighbouring cells err together, so each counts for less than one independent look."""
FLOOR = 1e-3
LANDMARK_SPREAD_MM = np.array([5, 5, 4, 5, 5, 8, 7, 35, 6, 6, 8, 8], dtype=float)
"""How far, in one person, a landmark lies from where the body coordinate of the average adult has it."""
SIGMA_FLOOR_MM = 1.5
FEMORAL_HEADS_END_MM = 880.0
TRUNK_MM = (340.0, 640.0)
"""Where left and right differ enough (heart, arch, liver) to tell a mirrored scan."""
TURN_MARGIN = (0.05, 2.0)
"""By how much more evidence a cell the turned scan must have: so much, and so much over the number of cells."""
LOCATING_COST = 4.7
"""Log-evidence that any scan, however clear, loses once because its place is not known beforehand."""
EVIDENCE_DOUBTFUL = 0.75
EVIDENCE_REFUSED = 0.5
SCALE_PLAUSIBLE = (0.8, 1.18)
SWAPPED_LOGIT = 0.5
SHORT_MM = 40.0


@dataclass(frozen=True, eq=False)
class Sequence:
    """What the context network says, cells from the feet to the head.

    Attributes:
        body: (g, bins) logits over the body coordinate.
        landmarks: (g, 12) logit of each landmark in each cell; 0 is the logit of "nowhere in this scan".
    """

    body: np.ndarray
    landmarks: np.ndarray


@dataclass(frozen=True, eq=False)
class Estimates:
    """What the networks say of a scan.

    Attributes:
        z_mm: (g,) LPS z of the cells, growing by 4 mm.
        body: (g,) whether the cell shows enough of a body.
        raw: (g, bins) logits of each cell by itself.
        orientation: (g, 2) logits of "left and right are swapped" and "front and back are swapped".
        upright: with the cells in their order.
        reversed: with the cells read the other way round, put back into the same order.
        features: (g, n) of each cell by itself, not negative; None where there are none.
    """

    z_mm: np.ndarray
    body: np.ndarray
    raw: np.ndarray
    orientation: np.ndarray
    upright: Sequence
    reversed: Sequence
    features: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Posterior:
    """Distribution of the body coordinate given the whole scan.

    Attributes:
        probability: (g, states) each row sums to 1.
        mean_mm: (g,) body coordinate.
        sigma_mm: (g,) its standard deviation.
        evidence: mean log-evidence of a cell; 0 is what a distribution that knows nothing would give.
        scale: mm of body coordinate for each mm of scan, the mean over the sizes tried.
    """

    probability: np.ndarray
    mean_mm: np.ndarray
    sigma_mm: np.ndarray
    evidence: float
    scale: float


def fit(
    estimates: Estimates,
    *,
    z_mm: np.ndarray,
    index: np.ndarray,
    files: tuple[str, ...],
    series: Mapping[str, Any],
    model: Mapping[str, Any],
    flags: tuple[Flag, ...] = (),
    calibrated: calibration.Calibration = calibration.NONE,
) -> ScanLocation:
    """Locations, landmarks and flags of a scan.

    Args:
        estimates: of the networks, on cells.
        z_mm: (k,) LPS z of the slices, from the feet to the head.
        index: (k,) index of each slice as stored.
        files: file of each slice, or empty.
        series: for the result.
        model: for the result.
        flags: warnings of the reader, to be passed on.
        calibrated: what the model's sigmas lack.
    """
    posterior = smooth(estimates.upright.body, estimates.body)
    sequence = estimates.upright
    turned = smooth(estimates.reversed.body[::-1], estimates.body[::-1])
    margin = TURN_MARGIN[0] + TURN_MARGIN[1] / len(estimates.z_mm)
    upside_down = turned.evidence - posterior.evidence > margin
    if upside_down:
        posterior = replace(
            turned,
            probability=turned.probability[::-1],
            mean_mm=turned.mean_mm[::-1],
            sigma_mm=turned.sigma_mm[::-1],
        )
        sequence = estimates.reversed
    if _clarity(posterior, estimates) < EVIDENCE_REFUSED:
        reason = Flag(
            "not_recognized",
            "The slices do not look like a human body between head and thighs: nothing that "
            "the model knows is recognized. Check modality, orientation and slice order.",
        )
        return refusal(reason, series=series, flags=flags, model=model)
    found, cell_location = _landmarks(posterior, sequence, estimates.z_mm, upside_down)
    found = tuple(
        replace(landmark, sigma_mm=calibrated.of_landmark(landmark.sigma_mm, number))
        for number, landmark in enumerate(found)
    )
    raw_mm, _ = bodyscale.mean_and_sigma(estimates.raw)
    cells = estimates.z_mm

    def at_slices(values: np.ndarray) -> np.ndarray:
        if len(cells) == 1:
            return np.repeat(values, len(z_mm))
        return landmarks.interpolate(z_mm, cells, values)

    location = at_slices(cell_location)
    body_mm = at_slices(posterior.mean_mm)
    sigma_mm = np.maximum(np.interp(z_mm, cells, posterior.sigma_mm), SIGMA_FLOOR_MM)
    sigma_mm = calibrated.of_slices(sigma_mm, body_mm)
    slope = _location_slope(body_mm)
    return ScanLocation(
        z_mm=z_mm,
        raw=landmarks.body_to_location(np.interp(z_mm, cells, raw_mm)),
        location=location,
        sigma=sigma_mm * slope,
        body_mm=body_mm,
        sigma_mm=sigma_mm,
        index=index,
        files=files,
        landmarks=found,
        coverage=_coverage(location, body_mm),
        flags=flags + _flags(estimates, posterior, upside_down),
        series=series,
        model=model,
        appearance=None if estimates.features is None else Appearance.of(cells, estimates.features),
    )


def smooth(logits: np.ndarray, body: np.ndarray) -> Posterior:
    """Forward-backward over the cells.

    Args:
        logits: (g, bins) of the body coordinate, cells from the feet to the head.
        body: (g,) cells without a body say nothing.
    """
    emission, score = _emission(logits, body)
    step = 2 * SCALES[:, None]
    less, more = STEP_JITTER + np.maximum(0, 2 - step), STEP_JITTER + np.maximum(0, step - 2)
    forward = np.empty((len(emission), len(SCALES), len(STATES)))
    log_evidence = -0.5 * ((SCALES - 1) / SCALE_SPREAD) ** 2
    log_evidence -= np.log(np.exp(log_evidence).sum())
    state = np.full(forward.shape[1:], 1.0 / len(STATES))
    for cell, seen in enumerate(emission):
        state = state * seen
        total = state.sum(axis=1)
        log_evidence += np.log(total)
        forward[cell] = state / total[:, None]
        state = _towards_head(forward[cell], less, more)
    top = log_evidence.max()
    weight = np.exp(log_evidence - top)
    evidence = top + np.log(weight.sum()) + score
    weight /= weight.sum()
    probability = np.empty_like(emission)
    state = np.ones(forward.shape[1:])
    for cell in range(len(emission) - 1, -1, -1):
        row = forward[cell] * state
        probability[cell] = weight @ (row / row.sum(axis=1, keepdims=True))
        state = _towards_feet(state * emission[cell], less, more)
        state /= state.max(axis=1, keepdims=True)
    mean = probability @ STATES
    sigma = np.sqrt(np.maximum(probability @ STATES**2 - mean**2, 0.0))
    return Posterior(probability, mean, sigma, float(evidence) / max(1, int(body.sum())), float(weight @ SCALES))


def _emission(logits: np.ndarray, body: np.ndarray) -> tuple[np.ndarray, float]:
    """(g, states) likelihood of each state up to a factor per cell, and the log of all those factors.

    Relative to a distribution that knows nothing, so that evidence above 0 says that the scan looks like a body.
    """
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    probability = shifted / shifted.sum(axis=1, keepdims=True)
    relative = (1 - FLOOR) * probability * len(BIN_CENTRES) + FLOOR
    place = (STATES - BIN_CENTRES[0]) / bodyscale.BIN_MM
    low = np.minimum(place.astype(int), len(BIN_CENTRES) - 2)
    part = place - low
    log_likelihood = EVIDENCE_SHARE * ((1 - part) * np.log(relative[:, low]) + part * np.log(relative[:, low + 1]))
    log_likelihood[~body] = 0.0
    top = log_likelihood.max(axis=1, keepdims=True)
    return np.exp(log_likelihood - top), float(top.sum())


def _towards_head(state: np.ndarray, less: np.ndarray, more: np.ndarray) -> np.ndarray:
    """(scales, states) distribution one cell higher. What leaves the scale at its ends stays there."""
    result = np.zeros_like(state)
    for step, probability in ((1, less), (2, 1 - less - more), (3, more)):
        result[:, :-step] += probability * state[:, step:]
        result[:, :1] += probability * state[:, :step].sum(axis=1, keepdims=True)
    result[:, -1] += 0.5 * state[:, -1]
    return result


def _towards_feet(state: np.ndarray, less: np.ndarray, more: np.ndarray) -> np.ndarray:
    """The transpose of ``_towards_head``."""
    result = np.zeros_like(state)
    for step, probability in ((1, less), (2, 1 - less - more), (3, more)):
        result[:, step:] += probability * state[:, :-step]
        result[:, :step] += probability * state[:, :1]
    result[:, -1] += 0.5 * state[:, -1]
    return result


def _landmarks(
    posterior: Posterior, sequence: Sequence, z_mm: np.ndarray, upside_down: bool
) -> tuple[tuple[LandmarkEstimate, ...], np.ndarray]:
    """All twelve landmarks, and the (g,) location of the cells that follows from them."""
    headward = -1.0 if upside_down else 1.0
    estimates, knots = [], []
    for number, landmark in enumerate(LANDMARKS):
        inside, nowhere = _landmark_posterior(posterior, sequence.landmarks[:, number], number)
        total = inside.sum()
        by_curve = _crossing(posterior.mean_mm, z_mm, landmark.body_mm, headward)
        if total > nowhere:
            inside /= total
            z = float(inside @ z_mm)
            sigma = float(np.sqrt(inside @ (z_mm - z) ** 2 + (CELL_MM**2) / 12))
            estimates.append(LandmarkEstimate(landmark.name, landmark.location, z, max(sigma, SIGMA_FLOOR_MM), True))
            knots.append(z)
        else:
            end = posterior.sigma_mm[0 if (by_curve < z_mm[0]) else -1]
            beyond = max(0.0, z_mm[0] - by_curve, by_curve - z_mm[-1])
            sigma = float(np.sqrt(end**2 + LANDMARK_SPREAD_MM[number] ** 2 + (0.1 * beyond) ** 2))
            estimates.append(LandmarkEstimate(landmark.name, landmark.location, None, sigma, False))
            knots.append(by_curve)
    # Landmarks follow each other from head to feet; where two estimates cross they share the middle.
    descending = -headward * np.array(knots)
    descending = _in_order(descending, least=1.0)
    return tuple(estimates), landmarks.interpolate(-headward * z_mm, descending, LOCATIONS)


def _landmark_posterior(posterior: Posterior, logits: np.ndarray, number: int) -> tuple[np.ndarray, float]:
    """(g,) weight of each cell for one landmark, and the weight of "not in this scan"."""
    near = np.abs(STATES - BODY_MM[number]) < STATE_MM
    crossing = posterior.probability[:, near].sum(axis=1) * CELL_MM / (STATE_MM * near.sum())
    padding = 30
    spread = gaussian_filter1d(np.pad(crossing, padding), LANDMARK_SPREAD_MM[number] / CELL_MM)[padding:-padding]
    scores = np.append(logits, 0.0)
    heat = np.exp(scores - scores.max())
    heat = heat / heat.sum() + FLOOR
    return spread * heat[:-1], max(1.0 - spread.sum(), FLOOR) * heat[-1]


def _crossing(body_mm: np.ndarray, z_mm: np.ndarray, wanted: float, headward: float) -> float:
    """LPS z at which the curve reaches a body coordinate, continued beyond the scan 1 mm per mm."""
    low, high = (0, -1) if headward > 0 else (-1, 0)
    if wanted > body_mm[low]:
        return float(z_mm[low] - headward * (wanted - body_mm[low]))
    if wanted < body_mm[high]:
        return float(z_mm[high] + headward * (body_mm[high] - wanted))
    order = np.argsort(body_mm, kind="stable")
    return float(np.interp(wanted, body_mm[order], z_mm[order]))


def _in_order(values: np.ndarray, least: float) -> np.ndarray:
    """The nearest increasing sequence, neighbours at least so far apart (pool adjacent violators)."""
    ramp = least * np.arange(len(values))
    blocks: list[list[float]] = []
    for value in values - ramp:
        blocks.append([value])
        while len(blocks) > 1 and np.mean(blocks[-2]) > np.mean(blocks[-1]):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    return np.concatenate([np.full(len(block), np.mean(block)) for block in blocks]) + ramp


def _location_slope(body_mm: np.ndarray) -> np.ndarray:
    """(k,) change of location per mm of body coordinate."""
    return (landmarks.body_to_location(body_mm + 5.0) - landmarks.body_to_location(body_mm - 5.0)) / 10.0


def _coverage(location: np.ndarray, body_mm: np.ndarray) -> Coverage:
    upper, lower = landmarks.words(float(body_mm.min())), landmarks.words(float(body_mm.max()))
    words = upper if upper == lower else f"{upper} to {lower}"
    return Coverage(float(location.min()), float(location.max()), words)


def _clarity(posterior: Posterior, estimates: Estimates) -> float:
    """Mean log-evidence of a cell, comparable between short and long scans: about 1 where everything is clear."""
    return posterior.evidence + LOCATING_COST / max(1, int(estimates.body.sum()))


def _flags(estimates: Estimates, posterior: Posterior, upside_down: bool) -> tuple[Flag, ...]:
    """What the user has to know. The thresholds lie between the scans of the training and validation patients as they
    are and the same scans turned, mirrored, stretched and shuffled.
    """
    flags = []
    seen = estimates.body
    extent = CELL_MM * len(estimates.z_mm)
    if upside_down:
        flags.append(
            Flag(
                "upside_down",
                "The slices seem to be stored upside-down, against what the header says. Landmarks are right for "
                "the picture; orientation marks and left/right may be wrong: check the source.",
            )
        )
    trunk = seen & (posterior.mean_mm > TRUNK_MM[0]) & (posterior.mean_mm < TRUNK_MM[1])
    if trunk.sum() * CELL_MM >= SHORT_MM and estimates.orientation[trunk, 0].mean() > SWAPPED_LOGIT:
        flags.append(
            Flag(
                "mirrored",
                "Left and right seem to be swapped, against what the header says (or the organs "
                "lie mirrored: situs inversus).",
            )
        )
    if seen.sum() * CELL_MM >= SHORT_MM and estimates.orientation[seen, 1].mean() > SWAPPED_LOGIT:
        flags.append(Flag("back_to_front", "Front and back seem to be swapped, against what the header says."))
    if extent > 4 * SHORT_MM and not SCALE_PLAUSIBLE[0] <= posterior.scale <= SCALE_PLAUSIBLE[1]:
        percent = 100 / posterior.scale - 100
        flags.append(
            Flag(
                "spacing",
                f"The body seems {abs(percent):.0f} % {'longer' if percent > 0 else 'shorter'} than "
                "an adult's: the slice spacing in the header may be wrong, or the patient is a child or "
                "unusually built.",
            )
        )
    if _clarity(posterior, estimates) < EVIDENCE_DOUBTFUL:
        flags.append(
            Flag(
                "low_confidence",
                "Low confidence: much of this scan does not look like what the model knows. "
                "Check the locations against the pictures.",
            )
        )
    if extent < SHORT_MM:
        flags.append(Flag("short_scan", f"Only {extent:.0f} mm of the body are shown, little context to locate it by."))
    if posterior.mean_mm.max() > FEMORAL_HEADS_END_MM:
        flags.append(
            Flag(
                "outside_model",
                "Some slices lie below the femoral heads, outside what the model knows; "
                "locations there are extrapolated.",
            )
        )
    return tuple(flags)
