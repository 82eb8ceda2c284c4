"""The light: whether the lungs that were found are to be trusted, judged from the result itself.

Thresholds fail where lung is as dense as the tissue around it. That shows: between the lungs and the ribs there is
something, what surrounds them is neither air nor tissue, one lung is far smaller than the other, gas that is no lung is
in the mask, the airways have no wall, the lungs have a shape that no chest has. Each sign has its own sentence. Limits
were set on the scans of Docs/Lungs.md and on those made ill by ``evaluation_ill``, and are measured on others. Those
for what is behind the lungs, for bronchi in tissue and for airless lung that was added were set on scans that were made
ill in both ways, of all patients with references.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from CTVolumeLib.boxes import bounding_box
from CTVolumeLib.cells import Cells
from CTVolumeLib.volume import CTVolume
from scipy import ndimage

from .cells import cells_of
from .consolidation import are_bronchi
from .lungs import AIRWAY, LEFT, RIGHT, LungResult, body_of
from .quality_dense import away_from_ribs, behind, bronchi_in_tissue
from .quality_gas import gas_beside_lungs, gas_in_lungs
from .shapes import distance, erode

GREEN, AMBER, RED = "green", "amber", "red"

NORMAL_RATIO = (0.55, 1.4)
"""Volume of the left by that of the right lung; the heart takes about a tenth of the left one."""

WIDE_SHARE = 0.75
HEIGHT_BY_WIDTH, WIDEST_MM = (0.65, 1.4), 370.0
"""Of whole lungs, so that a wrong spacing in the header shows; and the width of both lungs, whole or not."""

SMALL_ML, LARGE_ML = 800.0, 10000.0
BESIDE_AMBER, BESIDE_RED = 0.10, 0.30
BESIDE_APICES = 0.15
"""Of small upper parts of lungs. Bases lie beside the domes: only what is behind them is asked for."""

BEHIND_SHARE, BEHIND_MISSING = 0.15, 0.03
"""Share of one lung that ends before the ribs behind it, and volume of what is between, by that of the lungs."""

AIRLESS = 0.025
"""Volume of the tissue around bronchi by that of the lungs: less is only noted. It is a quarter to two thirds of what
is airless."""

ADDED_AMBER, LEFT_AMBER = 0.2, 0.04
"""Airless lung that was added, and what lies around bronchi and was not, by the volume of the lungs."""

FRONT_AMBER = 0.45
PART_ML = 1500.0
"""Lungs that the scan cuts and of which it holds less are bases or apices."""

UPPER_RATIO = (0.66, 1.25)
"""Like ``NORMAL_RATIO``, of lungs of which the scan holds the upper part: heart and domes are below."""

APICES_MM = 16.0
OUTSIDE_ML = 10.0

RECESS_MM = 10.0
"""The recess behind the dome is 25 to 80 mm deep, less when breathed out."""

RIM_MM, BEHIND = 20.0, 0.7
DENSE_HU, DENSE_AMBER = -300, 0.16
SURFACE_SHARE = 0.75
HAZE_MM, HAZE_HU, HAZE_AMBER = (6.0, 6.0), (-650, -200), 0.03
"""How far from the lungs haze is looked for (and how many cells at least), in a layer of how many mm; fat is denser."""

GAS_ML, BASE_GAS_ML = 8.0, 2.0
GAS_SHARE = 0.02
"""Of the lungs; gas that is less of them changes their volume little, and is only noted."""

SMOOTH_MM = 2.0
CUT_CM2 = 5.0


@dataclass(frozen=True)
class Sign:
    """One reason not to trust the result, or a note about it.

    Attributes:
        code: short and stable, for programs.
        text: what it means, and what to do.
        colour: what it makes the light.
    """

    code: str
    text: str
    colour: str


@dataclass(frozen=True)
class Light:
    """How far to trust the lungs.

    Attributes:
        colour: "green", "amber" or "red": that of the worst sign.
        signs: the reasons; empty for green.
        notes: what is right but should be known, such as lungs that the scan cuts.
        figures: what was measured, by name.
    """

    colour: str
    signs: tuple[Sign, ...]
    notes: tuple[Sign, ...]
    figures: dict[str, float]


def judge(volume: CTVolume, result: LungResult) -> Light:
    """Judge the lungs that were found in a scan."""
    axial = volume.as_axial()
    labels = volume.with_array(result.labels).as_axial().array
    cells = cells_of(axial)
    lungs = _on_cells(labels, cells)
    body, smooth = body_of(cells), _smooth(cells)
    signs, notes, figures = [], [], {}
    cut = _cut(lungs, cells)
    if cut:
        text = f"The scan cuts the lungs at its {' and '.join(cut)}: volumes are those of the part inside the scan."
        notes.append(Sign("cut", text, GREEN))
    signs += _volumes(lungs, cells, cut, figures)
    signs += _beside(lungs, cells, body, cut, figures)
    signs += _behind(lungs, cells, body, figures)
    signs += _bronchi(lungs, cells, body, figures)
    signs += _added(result, figures)
    signs += _front(lungs, cells, body, cut, figures)
    signs += _apices(lungs, cells, cut, figures)
    signs += _recesses(lungs, cells, figures)
    signs += _haze(lungs, cells, body, smooth, figures)
    signs += _inside(lungs, cells, figures)
    signs += _gas(lungs, cells, smooth, cut, figures)
    signs += _gas_outside(lungs, cells, body, figures)
    signs += _extent(lungs, cells, cut, figures)
    signs += _airways(result, cut, figures)
    notes += [sign for sign in signs if sign.colour == GREEN]
    signs = [sign for sign in signs if sign.colour != GREEN]
    worst = max((sign.colour for sign in signs), key=[GREEN, AMBER, RED].index, default=GREEN)
    return Light(worst, tuple(signs), tuple(notes), {name: round(float(value), 3) for name, value in figures.items()})


def _on_cells(labels: np.ndarray, cells: Cells) -> np.ndarray:
    """(k, j, i) uint8: the label in the middle of each cell."""
    middle = tuple(
        np.minimum(np.arange(count) * factor + factor // 2, size - 1)
        for count, factor, size in zip(cells.hu.shape, cells.factors, labels.shape)
    )
    return labels[np.ix_(*middle)]


def _cut(lungs: np.ndarray, cells: Cells) -> list[str]:
    """The ends of the scan at which there is lung."""
    area = np.isin(lungs[[-1, 0]], (LEFT, RIGHT)).sum(axis=(1, 2)) * cells.spacing[0] * cells.spacing[1] / 100
    return [name for name, size in zip(("top", "bottom"), area) if size > CUT_CM2]


def _volumes(lungs: np.ndarray, cells: Cells, cut: list[str], figures: dict) -> list[Sign]:
    left, right = (1000 * cells.litres(lungs == side) for side in (LEFT, RIGHT))
    figures |= {"left_ml": left, "right_ml": right}
    if min(left, right) < 0.05 * max(left, right):
        side = "right" if left > right else "left"
        text = f"No {side} lung was found: it is missing, airless, or left and right were not told apart. Look at it."
        return [Sign("one_lung", text, RED)]
    signs = []
    ratio = left / right
    figures["left_by_right"] = ratio
    normal = UPPER_RATIO if cut == ["bottom"] else NORMAL_RATIO
    uneven = not normal[0] < ratio < normal[1]
    if cut and uneven:
        bases = "top" in cut and _is_part(cut, figures)
        fairer = _ratio_below_the_apices(lungs) if cut == ["bottom"] else _ratio_where_wide(lungs)
        uneven = not bases and not normal[0] < fairer < normal[1]
    if uneven:
        smaller = "left" if left < right else "right"
        text = f"The {smaller} lung is unusually small beside the other one: look whether a part of it is missing."
        signs.append(Sign("uneven", text, AMBER))
    if not cut and left + right < SMALL_ML:
        signs.append(
            Sign("small", f"Both lungs have only {left + right:.0f} mL: look whether parts are missing.", AMBER)
        )
    if left + right > LARGE_ML:
        text = f"The lungs have {left + right:.0f} mL, more than lungs can: the result holds something else, or the"
        signs.append(Sign("large", f"{text} spacing in the header is wrong.", RED))
    return signs


def _is_part(cut: list[str], figures: dict) -> bool:
    return bool(cut) and figures["left_ml"] + figures["right_ml"] < PART_ML


def _ratio_where_wide(lungs: np.ndarray) -> float:
    """Left by right lung in the slices that hold much lung: of parts one may hold more, since the domes differ."""
    left, right = ((lungs == side).sum(axis=(1, 2)) for side in (LEFT, RIGHT))
    wide = left + right > WIDE_SHARE * (left + right).max()
    return float(left[wide].sum() / max(right[wide].sum(), 1))


def _ratio_below_the_apices(lungs: np.ndarray) -> float:
    """Left by right lung, each from its own apex down as far as both go: who lies tilted shows more of one."""
    left, right = ((lungs == side).sum(axis=(1, 2)) for side in (LEFT, RIGHT))
    tops = [int(np.flatnonzero(side)[-1]) for side in (left, right)]
    depth = min(tops) + 1
    left, right = (side[top + 1 - depth : top + 1].sum() for side, top in zip((left, right), tops))
    return float(left / max(right, 1))


def _beside(lungs: np.ndarray, cells: Cells, body: np.ndarray, cut: list[str], figures: dict) -> list[Sign]:
    """Whether the lungs reach the ribs at the sides and the back, as they do unless something dense is between."""
    if "top" in cut:
        return []
    directions = [(side, angle) for side in (LEFT, RIGHT) for angle in range(-12, 49, 6)]
    share = figures["beside"] = away_from_ribs(lungs, cells, body, directions)
    limit = BESIDE_APICES if _is_part(cut, figures) else BESIDE_AMBER
    if share < limit:
        return []
    text = (
        f"Along {100 * share:.0f} % of the ribs something dense lies between them and the lungs: consolidated lung"
        " (which is missing in the result), fluid (which does not belong into it) or a mass. Look at it."
    )
    return [Sign("dense_beside", text, RED if share > BESIDE_RED else AMBER)]


def _behind(lungs: np.ndarray, cells: Cells, body: np.ndarray, figures: dict) -> list[Sign]:
    """Whether the lungs lie on the ribs at the back, where airless lung and fluid gather in who lies on it."""
    found = behind(lungs, cells, body)
    share = figures["behind"] = max(found.shares)
    figures["behind_missing"] = found.missing
    if share < BEHIND_SHARE or found.missing < BEHIND_MISSING:
        return []
    side = "left" if found.shares[0] > found.shares[1] else "right"
    text = (
        f"Behind {100 * share:.0f} % of the {side} lung something dense lies before the ribs: consolidated lung"
        " (missing in the result), fluid or a mass. Look at it."
    )
    return [Sign("dense_behind", text, AMBER)]


def _bronchi(lungs: np.ndarray, cells: Cells, body: np.ndarray, figures: dict) -> list[Sign]:
    """Whether beside the lungs there is tissue with open bronchi in it, which is airless lung; a little is noted."""
    found = bronchi_in_tissue(lungs, cells, body)
    figures |= {"bronchi": found.specks, "dark_bronchi": found.dark, "airless": found.airless}
    if not are_bronchi(found.specks, found.dark):
        return []
    text = (
        f"Beside the lungs lie {found.specks} specks of air within dense tissue, as bronchi do in consolidated lung,"
        " which is missing in the result. Look at it."
    )
    return [Sign("bronchi_in_tissue", text, AMBER if found.airless > AIRLESS else GREEN)]


def _added(result: LungResult, figures: dict) -> list[Sign]:
    """That airless lung was added; only a note where that was not very much and nearly all that its bronchi show."""
    lungs_ml = max(figures["left_ml"] + figures["right_ml"], 1.0)
    added, left = result.airless_ml / lungs_ml, result.airless_left_ml / lungs_ml
    figures |= {"added": added, "airless_left": left}
    if not result.airless_ml:
        return []
    text = f"{result.airless_ml:.0f} mL of airless lung, known by the bronchi in it, were added to the lungs."
    if left > LEFT_AMBER:
        return [Sign("airless_added", f"{text} There is more of it than was added: look what is missing.", AMBER)]
    if added > ADDED_AMBER:
        text += " That is a large part of the lungs: look at its borders, which no threshold shows."
        return [Sign("airless_added", text, AMBER)]
    return [Sign("airless_added", text, GREEN)]


def _front(lungs: np.ndarray, cells: Cells, body: np.ndarray, cut: list[str], figures: dict) -> list[Sign]:
    """Whether the upper half of each lung reaches the ribs in front; further down heart and domes do."""
    if "top" in cut or _is_part(cut, figures):
        return []
    signs = []
    for side, name in ((LEFT, "left"), (RIGHT, "right")):
        if not (lungs == side).any():
            continue
        directions = [(side, angle) for angle in range(-60, -17, 6)]
        share = figures[f"{name}_front"] = away_from_ribs(lungs, cells, body, directions, upper_half=True)
        if share > FRONT_AMBER:
            text = (
                f"Something dense lies between the {name} lung and the ribs in front: consolidated lung (missing in"
                " the result), fluid or a mass. Look at it."
            )
            signs.append(Sign("dense_front", text, AMBER))
    return signs


def _apices(lungs: np.ndarray, cells: Cells, cut: list[str], figures: dict) -> list[Sign]:
    """Whether both lungs end at the same height."""
    tops = [np.flatnonzero((lungs == side).any(axis=(1, 2))) for side in (LEFT, RIGHT)]
    if "top" in cut or not all(len(slices) for slices in tops):
        return []
    higher = figures["apices_mm"] = (tops[0][-1] - tops[1][-1]) * cells.spacing[2]
    if abs(higher) < APICES_MM + 0.5 * cells.spacing[2]:
        return []
    text = (
        f"The {'right' if higher > 0 else 'left'} lung ends {abs(higher):.0f} mm below the other one at the top:"
        " consolidated lung (missing in the result) or a mass may fill its apex. Look at it."
    )
    return [Sign("apex", text, AMBER)]


def _recesses(lungs: np.ndarray, cells: Cells, figures: dict) -> list[Sign]:
    """Whether each lung reaches lower behind than under its dome, as it does unless something fills its base."""
    signs = []
    for side, name in ((LEFT, "left"), (RIGHT, "right")):
        depth = _recess_mm(lungs == side, cells)
        if depth is None:
            continue
        figures[f"{name}_recess_mm"] = depth
        if depth < RECESS_MM:
            text = (
                f"The {name} lung does not reach down behind its dome: consolidated lung (missing in the result) or"
                " fluid may fill its base. Look at it."
            )
            signs.append(Sign("no_recess", text, AMBER))
    return signs


def _recess_mm(lung: np.ndarray, cells: Cells) -> float | None:
    """How much lower a lung ends behind than in the middle of its base; None where the scan cuts the base."""
    footprint = lung.any(axis=0)
    if not footprint.any() or lung[0].any():
        return None
    lowest = lung.argmax(axis=0)
    base = ndimage.binary_erosion(footprint, iterations=max(1, round(RIM_MM / cells.spacing[0])))
    if not base.any():
        return None
    rows = np.flatnonzero(footprint.any(axis=1))
    behind = footprint & (np.arange(len(footprint)) > rows[0] + BEHIND * (rows[-1] - rows[0]))[:, None]
    # The 5th percentile, not the lowest cell: one cell is noise.
    return float(np.median(lowest[base]) - np.percentile(lowest[behind], 5)) * cells.spacing[2]


def _inside(lungs: np.ndarray, cells: Cells, figures: dict) -> list[Sign]:
    signs = []
    lung = np.isin(lungs, (LEFT, RIGHT))
    dense = figures["dense_share"] = float((cells.hu[lung] > DENSE_HU).mean())
    dense = (dense - figures["added"]) / (1 - figures["added"])  # which has a sign of its own
    if dense > DENSE_AMBER:
        text = f"{100 * dense:.0f} % of the lungs are as dense as tissue: infiltrates, or more than lung was enclosed."
        signs.append(Sign("dense_inside", text, AMBER))
    surface = figures["surface_share"] = float((distance(lung, cells.spacing) >= 0)[lung].mean())
    if surface > SURFACE_SHARE:
        text = "The scan holds so little of the lungs that most of it is their surface: its borders are uncertain."
        signs.append(Sign("sliver", text, AMBER))
    return signs


def _haze(lungs: np.ndarray, cells: Cells, body: np.ndarray, smooth: np.ndarray, figures: dict) -> list[Sign]:
    """Whether around the lungs there is what is neither lung nor tissue: healthy lungs end within a few mm."""
    box = bounding_box(np.isin(lungs, (LEFT, RIGHT)), cells.spacing, 3 * HAZE_MM[0])
    away = distance(np.isin(lungs[box], (LEFT, RIGHT)), cells.spacing)
    near = max(HAZE_MM[0], 1.5 * max(cells.spacing[:2]))
    # Skin and airways have air beside them.
    shell = (away > near) & (away < near + HAZE_MM[1]) & erode(body, cells.spacing, 2 * HAZE_MM[0])[box]
    if (lungs[box] == AIRWAY).any():
        shell &= distance(lungs[box] == AIRWAY, cells.spacing) > 2 * HAZE_MM[0]
    hazy = shell & (smooth[box] > HAZE_HU[0]) & (smooth[box] < HAZE_HU[1])
    share = figures["hazy_share"] = hazy.sum() / max(shell.sum(), 1)
    if share < HAZE_AMBER:
        return []
    text = (
        "Around the lungs there is much that is half as dense as tissue: infiltrates (missing in the result), or a"
        " border blurred by breathing. Look at it."
    )
    return [Sign("hazy_beside", text, AMBER)]


def _smooth(cells: Cells) -> np.ndarray:
    """(k, j, i) HU with less noise, which is neither haze nor gas."""
    return ndimage.gaussian_filter(cells.hu.astype(np.float32), [SMOOTH_MM / step for step in cells.spacing[::-1]])


def _gas(lungs: np.ndarray, cells: Cells, smooth: np.ndarray, cut: list[str], figures: dict) -> list[Sign]:
    """Whether there is much gas without lung in it anywhere, or a little right above the diaphragm, where bowel lies.

    Only a note, by its colour, where it is a small share of the lungs.
    """
    largest, lowest = gas_in_lungs(lungs, cells, smooth, whole="top" not in cut)
    figures |= {"gas_ml": largest, "base_gas_ml": lowest}
    if largest < GAS_ML and lowest < BASE_GAS_ML:
        return []
    if lowest >= BASE_GAS_ML:
        text = (
            f"The result holds {lowest:.0f} mL of pure gas right above the diaphragm: bowel may have been taken for"
            " lung. Look at it."
        )
    else:
        text = f"The result holds {largest:.0f} mL of pure gas: a bulla, a pneumothorax, or bowel. Look at it."
    share = largest / max(figures["left_ml"] + figures["right_ml"], 1.0)
    return [Sign("gas", text, AMBER if share > GAS_SHARE else GREEN)]


def _gas_outside(lungs: np.ndarray, cells: Cells, body: np.ndarray, figures: dict) -> list[Sign]:
    largest = figures["gas_outside_ml"] = gas_beside_lungs(lungs, cells, body)
    if largest < OUTSIDE_ML:
        return []
    text = (
        f"Beside the lungs lie {largest:.0f} mL of gas that the result leaves out: a pneumothorax or bowel. Look at it."
    )
    return [Sign("gas_outside", text, AMBER)]


def _extent(lungs: np.ndarray, cells: Cells, cut: list[str], figures: dict) -> list[Sign]:
    """Whether the lungs have the proportions and the width of a chest; if not, the header's spacing may be wrong."""
    lung = np.isin(lungs, (LEFT, RIGHT))
    columns, slices = (np.flatnonzero(lung.any(axis=axes)) for axes in ((0, 1), (1, 2)))
    width = figures["width_mm"] = (columns[-1] - columns[0] + 1) * cells.spacing[0]
    height = (slices[-1] - slices[0] + 1) * cells.spacing[2]
    figures["height_by_width"] = height / width
    both = min(figures["left_ml"], figures["right_ml"]) > 0.3 * max(figures["left_ml"], figures["right_ml"])
    odd = not cut and both and not HEIGHT_BY_WIDTH[0] < height / width < HEIGHT_BY_WIDTH[1]
    if not odd and width < WIDEST_MM:
        return []
    text = (
        f"The lungs are {width:.0f} mm wide and {height:.0f} mm high, which is unusual: parts are missing, or the"
        " spacing in the header is wrong, and with it all volumes."
    )
    return [Sign("extent", text, AMBER)]


def _airways(result: LungResult, cut: list[str], figures: dict) -> list[Sign]:
    figures["trachea_mm"] = result.trachea_mm
    signs = []
    if not result.trachea_mm and "top" not in cut:
        text = "No trachea was found: airways may be counted as lung."
        signs.append(Sign("no_trachea", text, AMBER))
    if not result.airway_sealed:
        signs.append(Sign("airway_leak", "The wall of the airways could not be followed: a part of them may be counted"
                          " as lung.", AMBER))  # fmt: skip
    return signs
