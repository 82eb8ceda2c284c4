"""Landmarks from segmentations, so that a group that has masks need not annotate by hand.

``RULES`` is the one table of how each landmark follows from which structures. A structure that the scan cuts off gives
no landmark where the rule would then be wrong: a missing label costs little, a wrong one spoils what is trained on it.
The definitions are those by which the shipped model's training data were read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import ndimage

from .landmarks import NAMES
from .maskfiles import Structure

ONE_SIDE_MM = 3.0
"""By how much a landmark is less certain that only one side of the body shows."""


class UnusableError(Exception):
    """Why a structure gives no landmark."""


@dataclass(frozen=True)
class Rule:
    """How a landmark follows from structures.

    Attributes:
        landmark: its name.
        structures: that the rule needs, as TotalSegmentator names them.
        place: from the structures to LPS z in mm; raises ``UnusableError``.
        uncertainty_mm: of a good segmentation.
        how: in words.
        sides: whether the structures are the same thing left and right, of which one will do.
    """

    landmark: str
    structures: tuple[str, ...]
    place: Callable[..., float]
    uncertainty_mm: float
    how: str
    sides: bool = False


@dataclass(frozen=True)
class Found:
    """A landmark that followed from masks: LPS z and its uncertainty in mm, and by which rule."""

    z_mm: float
    uncertainty_mm: float
    how: str


@dataclass(frozen=True)
class Result:
    """What the masks of one scan gave.

    Attributes:
        found: by landmark, from head to feet.
        missing: why there is none of the others, by landmark; landmarks without any mask are left out.
    """

    found: Mapping[str, Found]
    missing: Mapping[str, str]


def find(structures: Mapping[str, Structure]) -> Result:
    """Apply the rules: of each landmark's rules the first that works.

    Args:
        structures: by name, as ``maskfiles.read`` gives them for ``wanted()``.
    """
    found, missing = {}, {}
    for landmark in NAMES:
        for rule in (rule for rule in RULES if rule.landmark == landmark):
            try:
                result = _apply(rule, structures)
            except UnusableError as reason:
                missing.setdefault(landmark, str(reason))
                continue
            if result is not None:
                found[landmark] = result
                missing.pop(landmark, None)
                break
    return Result(found, missing)


def wanted() -> tuple[str, ...]:
    """Names of all structures that any rule uses."""
    return tuple(dict.fromkeys(name for rule in RULES for name in rule.structures))


def _apply(rule: Rule, structures: Mapping[str, Structure]) -> Found | None:
    present = [structures[name] for name in rule.structures if name in structures]
    if not present or (not rule.sides and len(present) < len(rule.structures)):
        return None
    if not rule.sides:
        return Found(float(rule.place(*present)), rule.uncertainty_mm, rule.how)
    z_mm = [rule.place(one) for one in present]
    alone = ONE_SIDE_MM if len(z_mm) == 1 else 0.0
    return Found(float(np.mean(z_mm)), rule.uncertainty_mm + alone, rule.how + (", one side only" if alone else ""))


def _top(part: Structure, above_mm: float = 0.0) -> float:
    """The topmost slice, and so many mm more for what lies above it."""
    if part.cut_above:
        raise UnusableError("it is cut off by the upper end of the scan")
    part = _largest(part)
    return float(part.z_mm[part.inside.any(axis=(1, 2))][-1]) + above_mm


def _top_of_skin(body: Structure, head: Structure) -> float:
    """The topmost slice of the body right above the head: arms may reach higher."""
    head_top = _top(head)
    rows, columns = (np.flatnonzero(head.inside.any(axis=axes)) for axes in ((0, 2), (0, 1)))
    box = []
    for kept, first, offset, size in zip((rows, columns), head.first, body.first, body.inside.shape[1:]):
        low, high = kept[0] + first - offset, kept[-1] + 1 + first - offset
        box.append(slice(max(0, int(low)), min(size, int(high))))
    slices = np.flatnonzero(body.inside[:, box[0], box[1]].any(axis=(1, 2)))
    top = float(body.z_mm[slices[-1]]) if len(slices) else -np.inf
    if not 0 <= top - head_top <= 30 or (body.cut_above and slices[-1] == len(body.z_mm) - 1):
        raise UnusableError("something else lies above the head, or the scan ends there")
    return top


def _centre(part: Structure) -> float:
    """The middle of something small that lies wholly in the scan."""
    if part.cut_above or part.cut_below:
        raise UnusableError("it is cut off by an end of the scan")
    return _middle(_largest(part).inside, part.z_mm)


def _vertebral_body(part: Structure) -> float:
    """The middle of the vertebral body: what is left when all that is thin (arch and processes) is taken away."""
    return _thickest(_largest(part), 0.75, "the vertebral body")


def _anterior_arch(part: Structure) -> float:
    """The middle of the front arch of C1: the foremost of the pieces that the middle plane cuts."""
    columns = np.flatnonzero(part.inside.any(axis=(0, 1))) * part.spacing[0]
    centre = (columns[0] + columns[-1]) / 2
    near = np.abs(np.arange(part.inside.shape[2]) * part.spacing[0] - centre) <= max(5.0, part.spacing[0])
    cut = part.inside[:, :, near].any(axis=2)
    pieces, count = ndimage.label(cut, np.ones((3, 3)))
    cell = part.spacing[1] * part.spacing[2]
    large = [n for n in range(1, count + 1) if np.count_nonzero(pieces == n) * cell >= 15]
    if len(large) < 2:
        raise UnusableError("its front and back arch can't be told apart")
    front = pieces == min(large, key=lambda n: np.nonzero(pieces == n)[1].mean())
    if (part.cut_below and front[0].any()) or (part.cut_above and front[-1].any()):
        raise UnusableError("its front arch is cut off by an end of the scan")
    return _middle(front[:, :, None], part.z_mm)


def _arch_of_aorta(part: Structure) -> float:
    """The middle between the top of the aorta and where, going down, its ascending and descending part separate."""
    if part.cut_above:
        raise UnusableError("it is cut off by the upper end of the scan")
    counts = _pieces(_largest(part), 60.0)
    top = int(np.flatnonzero(counts)[-1])
    split = _splits(counts, part.z_mm, top)
    if split is None:
        raise UnusableError("its ascending and descending parts do not show")
    return float(part.z_mm[top] + part.z_mm[split + 1]) / 2


def _carina(part: Structure) -> float:
    """The first slice, going down, in which the main bronchi are separate."""
    counts = _pieces(_largest(part), 15.0)
    split = _splits(counts, part.z_mm, int(np.flatnonzero(counts)[-1]))
    if split is None:
        raise UnusableError("it does not divide within the scan")
    return float(part.z_mm[split])


def _dome_above_liver(part: Structure) -> float:
    """The topmost slice of the right half of the liver, and the diaphragm above it."""
    if part.cut_above:
        raise UnusableError("it is cut off by the upper end of the scan")
    part = _largest(part)
    weights = part.inside.sum(axis=(0, 1))
    middle = round(float(np.average(np.arange(len(weights)), weights=weights)))
    right = part.inside[:, :, : middle + 1]
    return float(part.z_mm[right.any(axis=(1, 2))][-1]) + DIAPHRAGM_MM


def _head_of_femur(part: Structure) -> float:
    """The middle of the ball at the upper end: the thickest place within its uppermost 6 cm."""
    if part.cut_above:
        raise UnusableError("it is cut off by the upper end of the scan")
    part = _largest(part)
    top = part.z_mm[part.inside.any(axis=(1, 2))][-1]
    return _thickest(part.cropped(part.z_mm >= top - 60), 0.8, "the head")


def _thickest(part: Structure, share: float, name: str) -> float:
    """The middle of the thickest piece: of all that a ball of a share of the largest one can reach.

    Beyond an end of the scan a structure counts as going on, so that a cut piece shows by touching that end.
    """
    sampling = part.spacing[::-1]
    depth = ndimage.distance_transform_edt(_closed(part), sampling=sampling)[1:-1, 1:-1, 1:-1]
    radius = share * float(depth.max())
    pieces, _ = ndimage.label(depth > radius)
    core = pieces == pieces[np.unravel_index(np.argmax(depth), depth.shape)]
    reach = ndimage.distance_transform_edt(~core, sampling=sampling) <= radius
    thick = reach & part.inside
    if (part.cut_below and thick[0].any()) or (part.cut_above and thick[-1].any()):
        raise UnusableError(f"{name} is cut off by an end of the scan")
    return _middle(thick, part.z_mm)


def _closed(part: Structure) -> np.ndarray:
    """The mask with air around it, but not beyond an end of the scan that cuts it."""
    padded = np.pad(part.inside, 1)
    for cut, plane, nearest in ((part.cut_below, 0, 1), (part.cut_above, -1, -2)):
        if cut:
            padded[plane] = padded[nearest]
    return padded


def _pieces(part: Structure, smallest_mm2: float) -> np.ndarray:
    """(k,) number of separate pieces of at least a size in each slice."""
    cell = part.spacing[0] * part.spacing[1]
    counts = np.zeros(len(part.z_mm), dtype=int)
    for k, plane in enumerate(part.inside):
        pieces, _ = ndimage.label(plane, np.ones((3, 3)))
        counts[k] = np.count_nonzero(np.bincount(pieces.ravel())[1:] * cell >= smallest_mm2)
    return counts


def _splits(counts: np.ndarray, z_mm: np.ndarray, top: int, lasting_mm: float = 6.0) -> int | None:
    """Index of the first slice, going down, from which on there are two pieces for so many mm; None if there is none.

    The end of the mask ends the run as well, but a single last slice is no evidence.
    """
    for k in range(top - 1, 0, -1):
        if counts[k] < 2:
            continue
        run = k
        while run > 0 and counts[run - 1] >= 2:
            run -= 1
        ends = run == 0 or counts[run - 1] == 0
        if z_mm[k] - z_mm[run] >= lasting_mm or (ends and run < k):
            return k
    return None


def _largest(part: Structure) -> Structure:
    """Its largest connected piece: models leave crumbs."""
    pieces, count = ndimage.label(part.inside)
    if count < 2:
        return part
    sizes = np.bincount(pieces.ravel())
    inside = pieces == 1 + int(np.argmax(sizes[1:]))
    ends = (part.cut_below and bool(inside[0].any()), part.cut_above and bool(inside[-1].any()))
    return Structure(inside, part.z_mm, part.spacing, *ends, part.first)


def _middle(inside: np.ndarray, z_mm: np.ndarray) -> float:
    """Centroid along z."""
    return float(np.average(z_mm, weights=inside.sum(axis=(1, 2))))


def _vertebra(name: str, uncertainty_mm: float) -> Rule:
    return Rule(name, (f"vertebrae_{name}",), _vertebral_body, uncertainty_mm, "centre of the vertebral body")


SCALP_MM, TO_BRAIN_MM, DIAPHRAGM_MM = 6.0, 14.0, 3.0
"""What lies above skull, brain and liver in an adult."""

RULES = (
    Rule("Top of head", ("body", "skull"), _top_of_skin, 3.0, "topmost slice of the body above the skull"),
    Rule("Top of head", ("skin", "skull"), _top_of_skin, 3.0, "topmost slice of the skin above the skull"),
    Rule("Top of head", ("skull",), partial(_top, above_mm=SCALP_MM), 4.0, "6 mm above the skull"),
    Rule("Top of head", ("brain",), partial(_top, above_mm=TO_BRAIN_MM), 6.0, "14 mm above the brain"),
    Rule("Center of orbit", ("eye_left", "eye_right"), _centre, 2.0, "centre of the eyes", sides=True),
    Rule("C1", ("vertebrae_C1",), _anterior_arch, 3.0, "centre of the anterior arch"),
    _vertebra("C7", 3.0),
    _vertebra("T1", 3.0),
    Rule("Aortic arch", ("aorta",), _arch_of_aorta, 4.0, "between the top of the aorta and where it becomes two"),
    Rule("Bifurcation of trachea", ("trachea",), _carina, 3.0, "first slice with two main bronchi"),
    Rule("Right dome of diaphragm", ("liver",), _dome_above_liver, 4.0, "3 mm above the right liver"),
    _vertebra("T12", 3.0),
    _vertebra("L1", 3.0),
    Rule("Tip of iliac crest", ("hip_left", "hip_right"), _top, 3.0, "topmost slice of the hip bones", sides=True),
    Rule("Head of femur", ("femur_left", "femur_right"), _head_of_femur, 2.5, "centre of the heads", sides=True),
)
"""For each landmark, best rule first."""
