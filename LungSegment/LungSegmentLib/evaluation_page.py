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
    real = [row for row in rows if row.kind == "as it is"]
    ill = [row for row in rows if row.kind != "as it is"]
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
            f" worst of the {len(healthy)} scans without consolidation {min(row.dice for row in healthy):.3f};"
            f" {sum(d < 0.97 for d in dices)} of {len(dices)} below 0.97.",
            "",
            "| scan | licence | lungs in the scan mL | Dice | left | right | mean surface distance mm"
            " | a third of the voxel diagonal mm | swapped % | airway in the lungs % | light |",
            "|---|---|---|---|---|---|---|---|---|---|---|",
            *(_real_line(row, licences) for row in real),
            "",
            "## The light",
            "",
            "Bad is a Dice below 0.95. The light should be amber or red for at least 90 % of the bad results and for at"
            " most 5 % of the good ones. A result that is right, beside fluid, a missing lung or"
            " airless lung that is not scored (ch01, ch14), should be flagged too:"
            " such scans are counted apart. Ill-made scans are the scans above with lung filled in by program"
            " (`evaluation_ill.py`), so they are as sharp as real disease is not; made from the same patients, they are"
            " not independent. Of the ways in which each scan can"
            " be made ill every second one was run (`--every 2`).",
            "",
            "| scans | bad | of them flagged | good | of them flagged | right but to be looked at | of them flagged |",
            "|---|---|---|---|---|---|---|",
            _light_line("real, as they are", real),
            *(_light_line(kind, [row for row in ill if row.kind == kind]) for kind in sorted({r.kind for r in ill})),
            _light_line("all ill-made", ill),
            "",
            "What the light said wrongly:",
            "",
            *(_wrong_lines(rows) or ["- nothing"]),
            "",
            "## Scans without a reference, looked at",
            "",
            "Coronal, sagittal and axial pictures of each were looked at. Nothing was measured here.",
            "",
            "| scan | licence | what is seen |",
            "|---|---|---|",
            *(f"| {scan} | {licences.get(scan, '')} | {text} |" for scan, text in SEEN.items()),
            "",
        ]
    )


def _real_line(row: Row, licences: dict[str, str]) -> str:
    airway = "-" if row.airway_percent is None else f"{row.airway_percent:.2f}"
    light = f"{row.colour}: {', '.join(row.signs)}" if row.signs else row.colour
    surface = "-" if row.surface_mm is None else f"{row.surface_mm:.2f}"
    return (
        f"| {row.scan} | {licences.get(row.scan, '')} | {row.millilitres:.0f} | {row.dice:.3f} | {row.dice_left:.3f}"
        f" | {row.dice_right:.3f} | {surface} | {row.voxel_third_mm:.2f} | {row.swapped_percent:.2f} | {airway}"
        f" | {light} |"
    )


def _light_line(name: str, rows: Sequence[Row]) -> str:
    bad = [row for row in rows if row.dice < _GOOD]
    look = [row for row in rows if row.dice >= _GOOD and row.must_flag]
    good = [row for row in rows if row.dice >= _GOOD and not row.must_flag]
    counts = " | ".join(f"{len(some)} | {sum(row.flagged for row in some)}" for some in (bad, good, look))
    return f"| {name} | {counts} |"


def _wrong_lines(rows: Sequence[Row]) -> list[str]:
    lines = []
    for row in rows:
        wanted = row.dice < _GOOD or row.must_flag
        if wanted == row.flagged:
            continue
        what = f"{row.scan}, {row.kind}" + (f" ({row.severity})" if row.severity else "")
        said = f"{row.colour} ({', '.join(row.signs)})" if row.signs else row.colour
        lines.append(f"- {what}: Dice {row.dice:.3f}, {said}")
    return lines
