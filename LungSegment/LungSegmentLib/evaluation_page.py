"""Docs/Lungs.md, written from the rows of the evaluation."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from CTVolumeLib.files import write_atomic

from .evaluation_seen import REFERENCES, SEEN

if TYPE_CHECKING:
    from .evaluation import Row

_GOOD = 0.95
_WITHOUT_BAR = {"ch01", "ch14", "tb02"}
"""Scans with airless lung: the bar for single scans is for those without."""

_HEAD = (
    "| scans | bad | of them flagged | good | of them flagged | right but to be looked at | of them flagged |",
    "|---|---|---|---|---|---|---|",
)


def write(rows: Sequence[Row], data: Path, document: Path | None = None) -> None:
    """Write the page.

    Args:
        rows: of all scans.
        data: folder of the scans, for their licences.
        document: other than Docs/Lungs.md of this project.
    """
    document = document or Path(__file__).parents[2] / "Docs" / "Lungs.md"
    licences = {row["id"]: row["licence"] for row in csv.DictReader((data / "scans.csv").open(encoding="utf-8"))}
    write_atomic(document, page(rows, licences).encode())


def page(rows: Sequence[Row], licences: dict[str, str]) -> str:
    """The text of the page."""
    seen = {row.scan: row for row in rows if row.kind == "without a reference"}
    rows = [row for row in rows if row.scan not in seen]
    real = [row for row in rows if row.kind == "as it is"]
    ill = [row for row in rows if row.kind != "as it is" and not row.held_out]
    held_out = [row for row in rows if row.held_out]
    healthy = [row for row in real if row.scan not in _WITHOUT_BAR]
    dices = [row.dice for row in real]
    return "\n".join(
        [
            "# How good the lungs and the light are",
            "",
            "Written by `python -m LungSegmentLib.evaluation --data DIR`; do not edit.",
            "",
            "## Against references",
            "",
            f"{len(real)} scans of {len({row.patient for row in real})} patients. {REFERENCES}",
            "",
            f"Median Dice {np.median(dices):.3f}, worst {min(dices):.3f};"
            f" worst of the {len(healthy)} scans without consolidation {min(row.dice for row in healthy):.3f}."
            f" Below 0.97 are {sum(dice < 0.97 for dice in dices)} of {len(dices)},"
            f" {sum(row.dice < 0.97 for row in healthy)} of the {len(healthy)}.",
            "",
            "| scan | licence | lungs in the scan mL | Dice | left | right | mean surface distance mm"
            " | a third of the voxel diagonal mm | swapped % | airway in the lungs % | light |",
            "|---|---|---|---|---|---|---|---|---|---|---|",
            *(_real_line(row, licences) for row in real),
            "",
            "## The light",
            "",
            "Bad is a Dice below 0.95. The light should be amber or red for at least 90 % of the bad results and for at"
            " most 5 % of the good ones. A result that is right, beside fluid, a missing lung, a wrong spacing or"
            " airless lung that is not scored (ch01, ch14), should be flagged too:"
            " such scans are counted apart. Ill-made scans are the scans above changed by program, so they are as sharp"
            " as real disease is not; made from the same patients, they are not independent.",
            "",
            *_HEAD,
            _light_line("real, as they are", real),
            "",
            "Made ill in the ways on which the limits of the light were chosen (`evaluation_ill.py`):",
            "",
            *_light_table(ill),
            "",
            "Made ill in other ways (`evaluation_heldout.py`). Limits were chosen on those above; a first look at a "
            "part of these added signs (front, apices, gas beside the lungs, upper parts), and later those of what "
            "is behind the lungs and of bronchi in tissue, and the limits for bases, slivers and gas. The limits for "
            "what is behind the lungs, for bronchi and for airless lung that was added were set anew after a look at "
            "the figures of all these scans. So the table is not blind:",
            "",
            *_light_table(held_out),
            "",
            _together(rows),
            "",
            "Airless lung is added to the lungs where open bronchi show it (`consolidation.py`). How, was chosen on "
            "the consolidations of `evaluation_heldout.py`, after a look at those of all patients; their bronchi are "
            "air in a twentieth of the airless part, and those of real disease are finer and fewer. No real scan "
            "here shows as many, so that it is measured on made ones alone; nothing was added to any real scan. What "
            "the light says of it has two limits, which were chosen on all patients together. Chosen anew without "
            "each patient in turn, by the fewest wrong answers, what may be left beside the added lung is 0.045 to "
            "0.06 of the lungs (0.04 is used), and what may be added 0.17 to 0.2, or from 0.3 on (0.2 is used): "
            "between these lie as many good as bad results. Thick pleura and the rim of a lung that is missing, made "
            "by program with specks of air at the ribs, are in part taken for airless lung, too; the light says so.",
            "",
            "What the light said wrongly:",
            "",
            *(_wrong_lines(rows) or ["- nothing"]),
            "",
            "## Scans without a reference, looked at",
            "",
            "Coronal, sagittal and axial pictures of each were looked at. Nothing was measured here but the light.",
            "",
            "| scan | licence | light | what is seen |",
            "|---|---|---|---|",
            *(
                f"| {scan} | {licences.get(scan, '')} | {_said(seen.get(scan))} | {text} |"
                for scan, text in SEEN.items()
            ),
            "",
        ]
    )


def _real_line(row: Row, licences: dict[str, str]) -> str:
    airway = "-" if row.airway_percent is None else f"{row.airway_percent:.2f}"
    surface = "-" if row.surface_mm is None else f"{row.surface_mm:.2f}"
    return (
        f"| {row.scan} | {licences.get(row.scan, '')} | {row.millilitres:.0f} | {row.dice:.3f} | {row.dice_left:.3f}"
        f" | {row.dice_right:.3f} | {surface} | {row.voxel_third_mm:.2f} | {row.swapped_percent:.2f} | {airway}"
        f" | {_said(row)} |"
    )


def _said(row: Row | None) -> str:
    if row is None:
        return "-"
    return f"{row.colour}: {', '.join(row.signs)}" if row.signs else row.colour


def _light_table(rows: Sequence[Row]) -> list[str]:
    """A line for each kind, and one for all."""
    kinds = sorted({row.kind for row in rows})
    lines = [_light_line(kind, [row for row in rows if row.kind == kind]) for kind in kinds]
    return [*_HEAD, *lines, _light_line("all", rows)]


def _light_line(name: str, rows: Sequence[Row]) -> str:
    bad = [row for row in rows if row.dice < _GOOD]
    look = [row for row in rows if row.dice >= _GOOD and row.must_flag]
    good = [row for row in rows if row.dice >= _GOOD and not row.must_flag]
    counts = " | ".join(f"{len(some)} | {sum(row.flagged for row in some)}" for some in (bad, good, look))
    return f"| {name} | {counts} |"


def _together(rows: Sequence[Row]) -> str:
    """All bad and all good results, real and made ill."""
    bad = [row.flagged for row in rows if row.dice < _GOOD]
    good = [row.flagged for row in rows if row.dice >= _GOOD and not row.must_flag]
    return (
        f"Over all: of {len(bad)} bad results {sum(bad)} flagged ({100 * np.mean(bad or [0]):.1f} %),"
        f" of {len(good)} good ones {sum(good)} ({100 * np.mean(good or [0]):.1f} %)."
    )


def _wrong_lines(rows: Sequence[Row]) -> list[str]:
    lines = []
    for row in rows:
        wanted = row.dice < _GOOD or row.must_flag
        if wanted == row.flagged:
            continue
        what = f"{row.scan}, {row.kind}" + (f" ({row.severity})" if row.severity else "")
        lines.append(f"- {what}: Dice {row.dice:.3f}, {_said(row)}")
    return lines
