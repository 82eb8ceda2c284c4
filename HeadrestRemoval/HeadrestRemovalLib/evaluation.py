"""How well equipment is found and the patient spared: ``python -m HeadrestRemovalLib.evaluation --data DIR``.

Every case (``evaluation_cases``) knows patient and equipment voxel by voxel. Each method is run on it and two numbers
are taken: how much equipment is left, and how much of the patient is lost. Docs/Headrest.md is written from here. The
rows are kept in a file, so that a stopped run goes on.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np
from CTVolumeLib.cells import slice_step
from CTVolumeLib.errors import CTError
from CTVolumeLib.volume import CTVolume

from . import cluster, equipment, evaluation_cases, evaluation_page, evaluation_pictures, evaluation_recipe
from .contact import contact_cm2
from .evaluation_cases import Case
from .labels import HEADREST, PATIENT

TISSUE_HU = -300
"""The patient above this is tissue: what is lost of it counts."""

SEEN_HU = -900
"""Equipment above this is seen in pictures and renderings."""

AIR_HU = -970
"""What is fainter is air and its noise."""

RECIPE, RECIPE_LOW, CLUSTERING, NETWORK, BOTH = "recipe", "recipe at -300 HU", "clustering", "network", "both"
METHODS = (RECIPE, RECIPE_LOW, CLUSTERING, NETWORK, BOTH)
"""The recipe that users have today comes first, as it is and with the threshold that keeps fat and skin."""

_WITH_NETWORK = (NETWORK, BOTH)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Row:
    """One method on one case.

    Attributes:
        case: its name.
        kind: class of case.
        source: "phantom" or "composed".
        person: who.
        method: one of ``METHODS``.
        equipment_ml: of the truth.
        left_percent: of the equipment's voxels that stay in the scan.
        left_seen_percent: likewise of those above -900 HU.
        left_ml: above -900 HU.
        lost_percent: of the patient's voxels above -300 HU that are taken away.
        lost_ml: their volume.
        lost_voxels: their number.
        lost_all_ml: of all the patient within the skin, lungs, hair and open airways included.
        headrest_dice: of the headrest, None where the case has none. Its blurred edge is not scored, and neither is
            plain air, whose label changes nothing.
        strict_dice: the same with plain air scored.
        equipment_dice: of all equipment, None without.
        contact_cm2: where patient and equipment touch in truth.
        warned: codes of the warnings.
        seconds: CPU time.
        refused: code of the error that came instead of a result.
    """

    case: str
    kind: str
    source: str
    person: str
    method: str
    equipment_ml: float
    left_percent: float | None
    left_seen_percent: float | None
    left_ml: float
    lost_percent: float
    lost_ml: float
    lost_voxels: int
    lost_all_ml: float
    headrest_dice: float | None
    strict_dice: float | None
    equipment_dice: float | None
    contact_cm2: float
    warned: tuple[str, ...] = ()
    seconds: float = 0.0
    refused: str = ""


def run(case: Case, method: str) -> Row:
    """One method on one case.

    Args:
        case: with its truth.
        method: one of ``METHODS``.
    """
    started = time.process_time()
    try:
        labels, warned, refused = *find(case.volume, method), ""
    except CTError as error:
        labels, warned, refused = np.full(case.truth.shape, PATIENT, np.uint8), (), error.code
    return compare(case, method, labels, warned, time.process_time() - started, refused)


def find(volume: CTVolume, method: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels and codes of warnings by one of ``METHODS``.

    Raises:
        CTError: as ``equipment.find``.
    """
    if method in (RECIPE, RECIPE_LOW):
        kept = evaluation_recipe.keep(volume, evaluation_recipe.THRESHOLD_HU if method == RECIPE else TISSUE_HU)
        # The recipe takes everything else out and does not say what it is.
        return np.where(kept, PATIENT, HEADREST).astype(np.uint8), ()
    result = cluster.label(volume) if method == CLUSTERING else equipment.find(volume, method)
    return result.labels, tuple(code for code, _ in result.warnings)


def compare(
    case: Case,
    method: str,
    labels: np.ndarray,
    warned: Sequence[str] = (),
    seconds: float = 0.0,
    refused: str = "",
) -> Row:
    """Labels beside the truth.

    Args:
        case: with its truth.
        method: what made the labels.
        labels: (k, j, i) as in ``labels``.
        warned: codes of warnings.
        seconds: CPU time.
        refused: code of an error.
    """
    volume, truth = case.volume, case.truth
    millilitre = slice_step(volume) * volume.spacing[0] * volume.spacing[1] / 1000
    patient, there = truth == PATIENT, truth > PATIENT
    removed = labels > PATIENT
    tissue, seen = patient & (volume.array > TISSUE_HU), there & (volume.array > SEEN_HU)
    lost, left, left_seen = tissue & removed, there & ~removed, seen & ~removed
    scored = ~case.rim
    matters = scored & ((volume.array > AIR_HU) | there)
    return Row(
        case=case.name, kind=case.kind, source=case.source, person=case.person, method=method,
        equipment_ml=_ml(there, millilitre),
        left_percent=_percent(left, there), left_seen_percent=_percent(left_seen, seen),
        left_ml=_ml(left_seen, millilitre),
        lost_percent=_percent(lost, tissue) or 0.0, lost_ml=_ml(lost, millilitre), lost_voxels=int(lost.sum()),
        lost_all_ml=_ml(patient & removed, millilitre),
        headrest_dice=_dice(_headrest(labels, method) & matters, truth == HEADREST),
        strict_dice=_dice(_headrest(labels, method) & scored, truth == HEADREST),
        equipment_dice=_dice(removed & matters, there),
        contact_cm2=round(contact_cm2(volume, truth), 1),
        warned=tuple(warned), seconds=round(seconds, 2), refused=refused,
    )  # fmt: skip


def read_rows(path: Path) -> list[Row]:
    """The rows of a file, one JSON object a line; empty where there is none."""
    if not path.exists():
        return []
    stored = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [Row(**{**row, "warned": tuple(row["warned"])}) for row in stored]


def append_row(path: Path, row: Row) -> None:
    """Add a row to a file."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(row)) + "\n")


def worst(rows: Sequence[Row]) -> tuple[Row, Row] | None:
    """The row with the most equipment left and the one with the most of the patient lost; None without rows."""
    if not rows:
        return None
    return max(rows, key=lambda row: row.left_seen_percent or 0.0), max(rows, key=lambda row: row.lost_percent)


def _headrest(labels: np.ndarray, method: str) -> np.ndarray:
    return labels > PATIENT if method in (RECIPE, RECIPE_LOW) else labels == HEADREST


def _ml(mask: np.ndarray, millilitre: float) -> float:
    return round(float(np.count_nonzero(mask) * millilitre), 3)


def _percent(part: np.ndarray, whole: np.ndarray) -> float | None:
    count = int(np.count_nonzero(whole))
    return round(100 * int(np.count_nonzero(part)) / count, 4) if count else None


def _dice(found: np.ndarray, wanted: np.ndarray) -> float | None:
    if not wanted.any():
        return None
    return round(2 * int((found & wanted).sum()) / (int(found.sum()) + int(wanted.sum())), 4)


def _usable(methods: Sequence[str]) -> list[str]:
    """The methods that can be run here: the network needs its model."""
    if not set(_WITH_NETWORK) & set(methods):
        return list(methods)
    try:
        from . import prediction
    except ImportError as error:
        _log.warning("Without the network: %s", error)
        return [method for method in methods if method not in _WITH_NETWORK]
    del prediction
    return list(methods)


@click.command()
@click.option("--data", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path), help="Real CT.")
@click.option("--rows", "file", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Kept results.")
@click.option("--method", "methods", multiple=True, type=click.Choice(METHODS), help="Only this; may be repeated.")
@click.option("--kind", "kinds", multiple=True, help="Only this class of case; may be repeated.")
@click.option("--every", default=1, show_default=True, help="Take only each so many of the cases.")
@click.option(
    "--cases",
    "group",
    default=evaluation_cases.KNOWN,
    show_default=True,
    type=click.Choice(evaluation_cases.GROUPS),
    help="Those that rules were set with, those of people on whom"
    " none was (without the network), supports of other kinds, or heads on fine pixels.",
)
@click.option("--document/--no-document", default=True, help="Write Docs/Headrest.md and its picture.")
def main(
    data: Path, file: Path, methods: tuple[str, ...], kinds: tuple[str, ...], every: int, group: str, document: bool
) -> None:  # fmt: skip
    """Measure the removal of headrests on cases whose truth is known."""
    have = {(row.case, row.method) for row in read_rows(file)}
    knew = group == evaluation_cases.FRESH  # the network was trained on these heads
    wanted = [method for method in _usable(methods or METHODS) if not (knew and method in _WITH_NETWORK)]
    for maker in evaluation_cases.all_cases(data, every, group):
        case = maker()
        if kinds and case.kind not in kinds:
            continue
        for method in wanted:
            if (case.name, method) in have:
                continue
            row = run(case, method)
            append_row(file, row)
            click.echo(
                f"{row.case} | {method}: left {row.left_seen_percent} %, lost {row.lost_percent} %"
                f" ({row.lost_ml} mL), headrest Dice {row.headrest_dice}, {row.seconds} s {row.refused}"
            )
    rows = [row for row in read_rows(file) if row.person not in evaluation_cases.LEFT_OUT]
    for method in wanted:
        ends = worst([row for row in rows if row.method == method])
        if ends:
            click.echo(
                f"{method}: worst left {ends[0].left_seen_percent} % ({ends[0].case}),"
                f" worst lost {ends[1].lost_percent} % ({ends[1].case})"
            )
    if document:
        evaluation_page.write(rows, data)
        evaluation_pictures.write(data)


if __name__ == "__main__":
    main()
