"""What it costs that a model knows nothing of a source: the same scans, by a model that had met others of that source.

Both models never saw the patient. What differs is the source, and with it how many patients are left to learn from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import evaluation_figures
from .evaluation_cases import Case
from .evaluation_figures import MIN_PATIENTS
from .groundtruth import Annotation
from .landmarks import NAMES
from .report_html import finite

ROWS = 12
"""Landmarks that are listed, those first that lose most."""


def compared(
    cases: Sequence[Case],
    beside: Sequence[Case],
    folds: Sequence[Mapping[str, Any]],
    scans: Mapping[str, Sequence[str]],
    sources: Mapping[str, str],
    annotations: Mapping[str, Mapping[str, Annotation]],
) -> dict[str, Any]:
    """The figures of each fold by source beside those of the same scans by patient, as JSON.

    Args:
        cases: of the finished folds by source.
        beside: of a cross-validation by patient.
        folds: as ``run.json`` of the one by source has them.
        scans: of each patient.
        sources: of each patient.
        annotations: of each scan.
    """
    known = {
        patient: {landmark for scan in own for landmark in annotations.get(scan, {})} for patient, own in scans.items()
    }
    other = {case.name: case for case in beside}
    rows, losses = [], []
    for fold in folds:
        tested = [case for case in cases if case.patient in fold["test"] and case.name in other]
        if not tested:
            continue
        here = evaluation_figures.figures(tested)["families"]
        there = evaluation_figures.figures([other[case.name] for case in tested])["families"]
        about = {
            "fold": fold["name"],
            "sources": len({sources[patient] for patient in fold["test"]}),
            "learned_from": len(fold["train"]),
        }
        for family, figures in here.items():
            both = {"here": _main(figures), "by_patient": _main(there[family])}
            rows.append({**about, "family": family, "patients": figures["patients"], **both})
            means = [{row["name"]: row for row in one["landmarks"]} for one in (figures, there[family])]
            for landmark in NAMES:
                one, two = (mean.get(landmark) for mean in means)
                if not one or one["patients"] < MIN_PATIENTS or None in (one["mean_mm"], two["mean_mm"]):
                    continue
                losses.append(
                    {
                        "fold": fold["name"],
                        "landmark": landmark,
                        "patients": one["patients"],
                        "learned_from": sum(landmark in known[patient] for patient in fold["train"]),
                        "mean_mm": one["mean_mm"],
                        "mean_mm_by_patient": two["mean_mm"],
                    }
                )
    losses.sort(key=lambda row: row["mean_mm_by_patient"] - row["mean_mm"])
    return finite({"folds": rows, "landmarks": losses[:ROWS]})


def markdown(found: Mapping[str, Any]) -> list[str]:
    """The lines of the page.

    Args:
        found: from ``compared``.
    """
    lines = [
        "### Beside the same scans by patient",
        "",
        "Both models never saw the patient; the one by patient had met others of his source. Mm off: median and mean "
        "at landmarks, mean of slices.",
        "",
        "| fold | sources left out | patients to learn from | scans of | patients | by source | by patient |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['fold']} | {row['sources']} | {row['learned_from']} | {row['family']} | {row['patients']} "
        f"| {_cell(row['here'])} | {_cell(row['by_patient'])} |"
        for row in found["folds"]
    ]
    lines += [
        "",
        f"Where it loses most, of the landmarks that {MIN_PATIENTS} or more patients of a fold have, with the number "
        "of patients that were left to learn that landmark from:",
        "",
        "| landmark | fold | patients | to learn from | mean mm by source | by patient |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['landmark']} | {row['fold']} | {row['patients']} | {row['learned_from']} | {row['mean_mm']:.1f} "
        f"| {row['mean_mm_by_patient']:.1f} |"
        for row in found["landmarks"]
    ]
    return [*lines, ""]


def _main(figures: Mapping[str, Any]) -> dict[str, float | None]:
    marks = figures["all_landmarks"]
    return {
        "median_mm": marks["median_mm"],
        "mean_mm": marks["mean_mm"],
        "slices_mm": figures["all_slices"]["mean_mm"],
    }


def _cell(row: Mapping[str, float | None]) -> str:
    median, mean, slices = ("-" if row[key] is None else f"{row[key]:.1f}" for key in _KEYS)
    return f"{median}, {mean}; {slices}"


_KEYS = ("median_mm", "mean_mm", "slices_mm")
