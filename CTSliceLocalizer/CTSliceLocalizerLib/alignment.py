"""How a baseline lies in its follow-up in all three directions, once the match along the body is known.

The match says where a *height* lies; a point or a registration also needs left-right and front-back. Two answers, and
the result says which one it is: a rigid registration of the two bodies, started at the match and taken only where the
images then really agree; otherwise the two bodies' centres are put on each other, which is good to a centimetre or
two and knows no turning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk
from CTVolumeLib.errors import CTError
from CTVolumeLib.resample import to_spacing
from CTVolumeLib.volume import CTVolume
from scipy import ndimage

from .matching import Match
from .places import Place, PlaceMap

Progress = Callable[[int, int, str], bool]

CELL_MM = 4.0
BODY_HU = -300
WINDOW_HU = (-1000.0, 400.0)
ITERATIONS = 60
MIN_OVERLAP_MM = 60.0
"""Bodies that share less than this are not registered: a disc turns any way."""
MIN_CORRELATION = 0.75
"""Of the two bodies after the registration. Scans of different people reached 0.72 at most (25 pairs of eight scans),
the one real pair of examinations of one person 0.76, made follow-ups 0.9: the bound is a narrow one."""
MAX_TURN_DEG = 20.0
MAX_SHIFT_MM = 80.0
"""Of the registration against the centres of the bodies."""
MAX_LIFT_MM = 20.0
"""Of the registration against the match along the body."""
REGISTERED_SIGMA_MM = 5.0
"""In plane. Known maps are found again within 2 mm; breathing and posture move organs further."""
CENTRES_SIGMA_MM = 15.0
"""In plane. A lifted arm or a cut-off side moves the centre of a body by that much."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """A rigid map from the baseline to the follow-up.

    Attributes:
        matrix: (4, 4) from LPS mm of the baseline to LPS mm of the follow-up.
        method: ``"registered"`` (the images agree) or ``"centres"`` (the bodies' centres on each other).
        sigma_mm: standard deviation in plane.
        correlation: of the two bodies under the map, -1 to 1; NaN where it was not tried.
    """

    matrix: np.ndarray
    method: str
    sigma_mm: float
    correlation: float

    def points(self, points_lps: np.ndarray) -> np.ndarray:
        """(n, 3) LPS mm of the baseline to the follow-up."""
        return np.asarray(points_lps, dtype=float) @ self.matrix[:3, :3].T + self.matrix[:3, 3]


@dataclass(frozen=True, eq=False)
class CarriedPoint:
    """A point of the baseline in the follow-up: height by the match, left-right and front-back by the alignment.

    Attributes:
        point_lps: (3,) mm.
        place: what the match says of its height.
        in_plane_sigma_mm: standard deviation left-right and front-back.
        method: the alignment's.
    """

    point_lps: np.ndarray
    place: Place
    in_plane_sigma_mm: float
    method: str


def align(
    match: Match,
    baseline: CTVolume,
    followup: CTVolume,
    *,
    offset_mm: float = 0.0,
    register: bool = True,
    progress: Progress | None = None,
) -> Alignment:
    """Find the rigid map from a baseline to its follow-up.

    Args:
        match: of the two located scans.
        baseline: HU, as it was located.
        followup: HU, as it was located.
        offset_mm: the user's correction of the match.
        register: False leaves it at the centres of the bodies.
        progress: called with (done, total, text); False cancels.

    Raises:
        CTError: cancelled, or there is no match to start from.
    """
    places = PlaceMap(match, offset_mm)
    _report(progress, 0, "Looking at the baseline")
    low, high = _shared(places)
    fixed = _cells(baseline, low, high)
    _report(progress, 5, "Looking at the follow-up")
    ends = sorted(places.to_followup(z).z_mm for z in (low, high))
    moving = _cells(followup, *ends)
    middle = 0.5 * (low + high)
    lift = places.to_followup(middle).z_mm - middle
    bodies = [_body(cells) for cells in (fixed, moving)]
    shift = np.array([*(_centre(moving, bodies[1]) - _centre(fixed, bodies[0]))[:2], lift])
    centres = np.eye(4)
    centres[:3, 3] = shift
    plain = Alignment(centres, "centres", CENTRES_SIGMA_MM, float("nan"))
    upside_down = places.to_followup(high).z_mm < places.to_followup(low).z_mm
    if not register or upside_down or high - low < MIN_OVERLAP_MM or min(body.sum() for body in bodies) < 1000:
        return plain
    found = _register(fixed, moving, bodies[0], shift, progress)
    matrix = _matrix(found)
    correlation = _correlation(fixed, moving, bodies[0], found)
    centre = _centre(fixed, bodies[0])
    moved = matrix[:3, :3] @ centre + matrix[:3, 3] - centre - shift
    turn = np.degrees(np.arccos(np.clip((np.trace(matrix[:3, :3]) - 1) / 2, -1, 1)))
    good = (
        correlation >= MIN_CORRELATION
        and turn <= MAX_TURN_DEG
        and np.hypot(*moved[:2]) <= MAX_SHIFT_MM
        and abs(moved[2]) <= MAX_LIFT_MM
    )
    if not good:
        return replace(plain, correlation=correlation)
    return Alignment(matrix, "registered", REGISTERED_SIGMA_MM, correlation)


def carry(
    match: Match, alignment: Alignment, points_lps: Sequence[Sequence[float]], offset_mm: float = 0.0
) -> list[CarriedPoint]:
    """Points of the baseline in the follow-up.

    Args:
        match: of the two located scans.
        alignment: from ``align``.
        points_lps: (n, 3) mm.
        offset_mm: the user's correction of the match.
    """
    places = PlaceMap(match, offset_mm)
    points = np.asarray(points_lps, dtype=float).reshape(-1, 3)
    carried = []
    for point, aligned in zip(points, alignment.points(points)):
        place = places.to_followup(point[2])
        target = np.array([aligned[0], aligned[1], place.z_mm])
        carried.append(CarriedPoint(target, place, alignment.sigma_mm, alignment.method))
    return carried


def _shared(places: PlaceMap) -> tuple[float, float]:
    """Lowest and highest height of the baseline that the follow-up shows."""
    ends = sorted(places.to_baseline(z).z_mm for z in places.followup_range_mm)
    low, high = max(ends[0], places.baseline_range_mm[0]), min(ends[1], places.baseline_range_mm[1])
    if high - low < CELL_MM:
        raise CTError("no_overlap", "The two scans show different parts of the body.", "Choose other volumes.")
    return low, high


def _cells(volume: CTVolume, low_mm: float, high_mm: float) -> CTVolume:
    """The part between two heights on 4 mm cells, in axial order."""
    axial = volume.as_axial()
    z_mm = axial.superior()
    kept = np.flatnonzero((z_mm >= low_mm - CELL_MM) & (z_mm <= high_mm + CELL_MM))
    if len(kept) < 2:
        raise CTError("no_overlap", "The two scans share less than two slices.", "Choose other volumes.")
    axial = axial.crop(k=slice(int(kept[0]), int(kept[-1]) + 1))
    thin = [max(1, int(2.0 // spacing)) for spacing in axial.spacing[:2]]
    axial = replace(
        axial,
        array=axial.array[:, :: thin[1], :: thin[0]],
        spacing=(axial.spacing[0] * thin[0], axial.spacing[1] * thin[1], axial.spacing[2]),
    )
    return to_spacing(axial, CELL_MM)


def _body(cells: CTVolume) -> np.ndarray:
    """(k, j, i) the largest thing that is dense and thick, filled slice by slice: the table is thin."""
    plane = ndimage.generate_binary_structure(3, 1)
    plane[[0, 2]] = False
    core = ndimage.binary_erosion(cells.array > BODY_HU, plane, iterations=2)
    labels, count = ndimage.label(core)
    if count == 0:
        return np.zeros(cells.array.shape, dtype=bool)
    body = ndimage.binary_dilation(labels == np.bincount(labels.ravel())[1:].argmax() + 1, plane, iterations=2)
    return np.stack([ndimage.binary_fill_holes(part) for part in body])


def _centre(cells: CTVolume, body: np.ndarray) -> np.ndarray:
    """LPS mm of the body's centre: the mean over the slices, each counting the same."""
    seen = body.any(axis=(1, 2))
    if not seen.any():
        index = (np.array(cells.array.shape) - 1) / 2
    else:
        middles = [np.mean(np.nonzero(part), axis=1) for part in body[seen]]
        index = np.array([np.flatnonzero(seen).mean(), *np.mean(middles, axis=0)])
    return np.asarray(cells.origin) + cells.axes() @ (index[::-1] * cells.spacing)


def _register(fixed: CTVolume, moving: CTVolume, body: np.ndarray, shift: np.ndarray, progress: Progress | None):
    """The rigid transform that puts the moving body onto the fixed one, as sitk.Euler3DTransform."""
    start = sitk.Euler3DTransform()
    start.SetCenter(_centre(fixed, body).tolist())
    start.SetTranslation(shift.tolist())
    method = sitk.ImageRegistrationMethod()
    # One thread: the sum of the metric, and with it the result, is then the same each time.
    method.SetNumberOfThreads(1)
    method.SetMetricAsMattesMutualInformation(32)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(0.1, seed=8)  # the places are jittered at random
    mask = sitk.GetImageFromArray(ndimage.binary_dilation(body, iterations=2).astype(np.uint8))
    images = [_image(cells) for cells in (fixed, moving)]
    mask.CopyInformation(images[0])
    method.SetMetricFixedMask(mask)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(2.0, 0.02, ITERATIONS, relaxationFactor=0.6)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(start, inPlace=True)
    method.SetShrinkFactorsPerLevel([2, 1])
    method.SetSmoothingSigmasPerLevel([4.0, 0.0])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    cancelled = []

    def step() -> None:
        done = 10 + 85 * (method.GetCurrentLevel() * ITERATIONS + method.GetOptimizerIteration()) // (2 * ITERATIONS)
        if progress is not None and not cancelled and not progress(done, 100, "Registering the bodies"):
            cancelled.append(True)
            method.StopRegistration()

    method.AddCommand(sitk.sitkIterationEvent, step)
    try:
        method.Execute(*images)
    except RuntimeError as error:  # ITK: all samples fall outside, and the like
        if not cancelled:
            start.SetTranslation([1e6, 0.0, 0.0])  # far off, so that it is not taken
            _report(progress, 95, f"The images could not be registered ({type(error).__name__})")
    if cancelled:
        raise CTError("cancelled", "The registration was cancelled.")
    _report(progress, 95, "Registering the bodies")
    return start


def _image(cells: CTVolume):
    """A float image for SimpleITK, air and bone clipped."""
    image = sitk.GetImageFromArray(np.clip(cells.array, *WINDOW_HU).astype(np.float32))
    image.SetSpacing(cells.spacing)
    image.SetOrigin(cells.origin)
    image.SetDirection(cells.direction)
    return image


def _correlation(fixed: CTVolume, moving: CTVolume, body: np.ndarray, transform) -> float:
    """Of the values inside the fixed body, where the moved scan has any."""
    outside = float(WINDOW_HU[0]) - 1
    moved = sitk.Resample(_image(moving), _image(fixed), transform, sitk.sitkLinear, outside)
    values = sitk.GetArrayFromImage(moved)
    used = body & (values > outside)
    if np.count_nonzero(used) < 0.3 * np.count_nonzero(body):
        return float("nan")
    one = np.clip(fixed.array, *WINDOW_HU)[used].astype(float)
    return float(np.corrcoef(one, values[used])[0, 1])


def _matrix(transform) -> np.ndarray:
    """(4, 4) of a rigid SimpleITK transform."""
    matrix = np.eye(4)
    rotation = np.array(transform.GetMatrix()).reshape(3, 3)
    centre = np.array(transform.GetCenter())
    matrix[:3, :3] = rotation
    matrix[:3, 3] = centre + np.array(transform.GetTranslation()) - rotation @ centre
    return matrix


def _report(progress: Progress | None, done: int, text: str) -> None:
    if progress is not None and not progress(done, 100, text):
        raise CTError("cancelled", "The registration was cancelled.")
