"""The figures of a cross-validation, and the pages that are written from them; nothing in those is written by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from CTVolumeLib.files import write_atomic

from . import crossvalidation_sources, evaluation_figures
from .evaluation_baselines import BASELINES
from .evaluation_cases import Case
from .evaluation_figures import GROSS_MM, MIN_PATIENTS
from .groundtruth import MOVES_WITH_BREATH
from .report_html import finite

DOCUMENT = Path(__file__).parents[2] / "Docs" / "Evaluation.md"
HEADINGS = {"patient": "## Cross-validation by patient", "source": "## Cross-validation by source"}
ANCHORS = (
    ("Insertion Network (2026), sequence of slices", "5.4"),
    ("Semi-supervised body part regression", "7.4 +- 6.9"),
    ("Jackson (2021), single slices", "+- 12"),
)
"""Published errors in mm, each on a source of its own."""
BARS = {
    "hn": {"median_mm": 4.0, "mean_mm": 5.0, "slices_mm": 4.5},
    "other": {"median_mm": 7.0, "mean_mm": 10.0, "p95_mm": 30.0, "slices_mm": 9.0},
}
FAMILIES = {"hn": "Head and neck planning CT of one source (hn)", "other": "All other scans"}
WORST = 16
"""Landmarks that are listed."""
SUSPECT_MM = 12.0
"""Half a vertebra and a reading error: a landmark so far from where its scan's other landmarks put it is looked at."""


def summarized(
    cases: Sequence[Case], by: str, run: Mapping[str, Any], left_out: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    """All figures as JSON.

    Args:
        cases: of the finished folds.
        by: what was kept together.
        run: ``run.json`` of the cross-validation.
        left_out: scans left out and doubtful annotations, with reasons.
    """
    cases = sorted(cases, key=lambda case: (case.family, case.name))
    tested = {case.patient for case in cases}
    finished = [fold["name"] for fold in run["folds"] if set(fold["test"]) <= tested]
    found = evaluation_figures.figures(cases)
    baselines = {name: evaluation_figures.figures(answer(cases))["families"] for name, answer in BASELINES.items()}
    return finite(
        {
            "by": by,
            "folds": {"all": len(run["folds"]), "finished": finished},
            "settings": run["settings"],
            **found,
            "baselines": {
                name: {
                    family: {"landmarks": rows["all_landmarks"], "slices": rows["all_slices"]}
                    for family, rows in families.items()
                }
                for name, families in baselines.items()
            },
            "worst": [
                {
                    "scan": error.scan,
                    "landmark": error.landmark,
                    "off_mm": None if error.error_mm is None else round(error.error_mm, 1),
                    "sigma_mm": round(error.sigma_mm, 1),
                    "flagged": bool(error.flagged),
                }
                for error in evaluation_figures.worst(cases, WORST)
            ],
            "suspects": suspects(cases, left_out["doubtful"]),
            "left_out": {kind: dict(left_out[kind]) for kind in ("scans", "doubtful")},
        }
    )


def suspects(cases: Sequence[Case], doubtful: Mapping[str, str]) -> list[dict[str, Any]]:
    """Annotations that disagree with the model where it agrees with the scan's other annotations.

    The dome of the diaphragm is left out, which lies elsewhere with each breath.
    """
    found = []
    for case in cases:
        errors = [error for error in case.landmarks if error.error_mm is not None]
        for error in errors:
            others = [other.error_mm for other in errors if other is not error]
            if len(others) < 2 or error.landmark in MOVES_WITH_BREATH:
                continue
            off = error.error_mm - float(np.median(others))
            if abs(off) > SUSPECT_MM and float(np.ptp(others)) < SUSPECT_MM:
                found.append(
                    {
                        "scan": case.name,
                        "landmark": error.landmark,
                        "annotated_z_mm": round(error.true_z_mm, 1),
                        "off_mm": round(off, 1),
                        "known": doubtful.get(case.name, ""),
                    }
                )
    return sorted(found, key=lambda one: -abs(one["off_mm"]))


def markdown(found: Mapping[str, Any]) -> str:
    """The page, or the section of Docs/Evaluation.md."""
    settings, folds = found["settings"], found["folds"]
    kept = "patients" if found["by"] == "patient" else "sources (repositories) with all of their patients"
    lines = [
        HEADINGS[found["by"]],
        "",
        f"{folds['all']} folds of {kept}; for each a model was trained on the others as the shipped one is "
        f"(seed {settings['seed']}, up to {settings['epochs']} epochs of {settings['batches']} batches). Finished: "
        f"{len(folds['finished'])} of them, {found['patients']} patients, {found['scans']} scans, {found['refused']} "
        f"refused. Intervals are 95 % by drawing patients (bootstrap); with fewer than {MIN_PATIENTS} patients there "
        "is none. Scans whose terms forbid it trained nothing, but were tested. The mean distances between landmarks "
        "that the body coordinate is made of come from all annotated scans, tested ones included.",
        "",
    ]
    if found.get("lacking"):
        views = " and ".join(found["lacking"])
        lines += [f"These networks don't have the picture of the {views} yet, which the shipped model has.", ""]
    for family, rows in found["families"].items():
        lines += _family(family, rows)
    if "beside" in found:
        lines += crossvalidation_sources.markdown(found["beside"])
    lines += ["### Beside it", "", "Median and mean mm off at landmarks, mean mm off per slice.", ""]
    lines += _beside(found)
    lines += ["### The worst", ""]
    lines += _worst(found["worst"])
    lines += ["### Annotations worth a second look", ""]
    lines += _suspects(found["suspects"])
    lines += ["### Left out", "", "| scan | reason |", "|---|---|"]
    lines += [f"| {name} | {reason} |" for name, reason in found["left_out"]["scans"].items()]
    lines += ["", "Doubtful, but in all figures:", "", "| scan | reason |", "|---|---|"]
    lines += [f"| {name} | {reason} |" for name, reason in found["left_out"]["doubtful"].items()]
    return "\n".join(lines) + "\n"


def publish(found: Mapping[str, Any], card_file: Path, document: Path = DOCUMENT) -> None:
    """Put the section into Docs/Evaluation.md, under a heading for the model, and the main figures onto its card.

    Raises:
        CTError: a file can't be written.
    """
    card = json.loads(card_file.read_text(encoding="utf-8"))
    card.setdefault("crossvalidation", {})[f"by_{found['by']}"] = {
        family: {
            "patients": rows["patients"],
            "landmarks": {key: rows["all_landmarks"][key] for key in ("landmarks", *_MAIN, "missed")},
            "slices": {key: rows["all_slices"][key] for key in ("slices", *_MAIN)},
        }
        for family, rows in found["families"].items()
    }
    write_atomic(card_file, json.dumps(card, indent=2, ensure_ascii=False) + "\n")
    kept = sections_of(document.read_text(encoding="utf-8")) if document.exists() else []
    page = "\n".join([_heading(card), *kept])
    write_atomic(document, with_section(page, markdown(found)))


def _heading(card: Mapping[str, Any]) -> str:
    trained = card["trained_on"]
    return f"""# How far off the model is

Written by `make train` and `make crossvalidation`; do not edit.

Model {card["name"]}, sha256 {card["sha256"]["npz"][:12]}: the networks of all folds of a cross-validation by patient
together, trained on {trained["scans"]} scans of {trained["patients"]} patients in all. Each figure is of the one member
that never saw the patient in training or tuning; together they are more exact, but nobody is left to measure that on.
An error is found minus annotated z; the annotations themselves are uncertain by 2 to 8 mm. "hn" are head-and-neck
planning CT of one challenge, "other" are diagnostic scans of many sources; the two are never pooled. "Missed" is a
landmark that is annotated in the scan but was said to lie outside. The claimed sigma is the one that the errors of the
other folds calibrate.
"""


def with_section(document: str, section: str) -> str:
    """A page with a section of a heading of the second level put in the place of the one of the same name, or last."""
    heading = section.splitlines()[0]
    before, there, after = f"\n{document}".partition(f"\n{heading}\n")
    rest = after.find("\n## ")
    tail = after[rest + 1 :] if there and rest >= 0 else ""
    return f"{before.strip()}\n\n{section.strip()}\n" + (f"\n{tail}" if tail else "")


def sections_of(document: str) -> list[str]:
    """The sections that a cross-validation has put into a page."""
    found = []
    for heading in HEADINGS.values():
        _, there, after = f"\n{document}".partition(f"\n{heading}\n")
        if there:
            found.append(f"{heading}\n{after.partition(chr(10) + '## ')[0]}".rstrip() + "\n")
    return found


_MAIN = ("median_mm", "mean_mm", "p95_mm", "worst_mm", "interval_mm")


def _family(family: str, rows: Mapping[str, Any]) -> list[str]:
    bars, marks = BARS.get(family, {}), rows["all_landmarks"]
    slices, single = rows["all_slices"], rows["single_slices"]
    lines = [f"### {FAMILIES.get(family, family)}: {rows['patients']} patients, {rows['scans']} scans", ""]
    lines += ["| | found | asked for |", "|---|---|---|"]
    lines += [
        f"| landmarks, median mm | {_both(marks, 'median_mm')} | {_bar(bars, 'median_mm')} |",
        f"| landmarks, mean mm | {_mm(marks['mean_mm'])} | {_bar(bars, 'mean_mm')} |",
        f"| landmarks, 95 % within mm | {_mm(marks['p95_mm'])} | {_bar(bars, 'p95_mm')} |",
        f"| landmarks off by more than {GROSS_MM:.0f} mm, no warning | {marks['gross_not_flagged']} | 0 |",
        f"| landmarks missed, of {marks['landmarks']} | {marks['missed']} | |",
        f"| slices between landmarks, mean mm | {_both(slices, 'mean_mm')} | {_bar(bars, 'slices_mm')} |",
        f"| the same without the curve | {_both(single, 'mean_mm')} | |",
        _outside(rows["outside"]),
    ]
    for kind, name in (("landmarks", "landmarks"), ("slices", "slices")):
        part = (rows["calibration"] or {}).get(kind)
        if part:
            lines.append(f"| {name} within 2 sigma | {100 * part['within_2_sigma']:.0f} % | >= 90 % |")
            lines.append(f"| sigma needed for 90 %, times the claimed one | {part['needed']} | 0.5 to 1 |")
    lines += ["", "| landmark | patients | median mm | 95 % interval | mean mm | 95 % within | worst mm | missed "
              "| claimed sigma mm |"]  # fmt: skip
    lines += ["|---|---|---|---|---|---|---|---|---|"]
    lines += [
        f"| {row['name']} | {row['patients']} | {_mm(row['median_mm'])} | {_ends(row)} | {_mm(row['mean_mm'])} "
        f"| {_mm(row['p95_mm'])} | {_mm(row['worst_mm'])} | {row['missed']} | {_mm(row['sigma_mm'])} |"
        for row in rows["landmarks"]
    ]
    lines += ["", "| slices | patients | mean mm | 95 % interval | median mm | 95 % within | worst mm |"]
    lines += ["|---|---|---|---|---|---|---|"]
    lines += [
        f"| {row['name']} | {row['patients']} | {_mm(row['mean_mm'])} | {_ends(row)} | {_mm(row['median_mm'])} "
        f"| {_mm(row['p95_mm'])} | {_mm(row['worst_mm'])} |"
        for row in rows["ranges"]
        if row["slices"]
    ]
    return [*lines, ""]


def _outside(outside: Mapping[str, Any]) -> str:
    share = f"{100 * outside['claimed'] / outside['landmarks']:.1f} %" if outside["landmarks"] else "-"
    return f"| landmarks far outside the scan that were claimed, of {outside['landmarks']} | {share} | <= 2 % |"


def _beside(found: Mapping[str, Any]) -> list[str]:
    families = list(found["families"])
    names = " | ".join(families)
    lines = [f"| | {names} |", "|---|" + "---|" * len(families)]

    def cell(landmarks: Mapping[str, Any], slices: Mapping[str, Any]) -> str:
        return f"{_mm(landmarks['median_mm'])}, {_mm(landmarks['mean_mm'])}; {_mm(slices['mean_mm'])}"

    own = [cell(rows["all_landmarks"], rows["all_slices"]) for rows in found["families"].values()]
    lines.append(f"| This model | {' | '.join(own)} |")
    for name, rows in found["baselines"].items():
        lines.append(f"| {name} | {' | '.join(cell(*rows[family].values()) for family in families)} |")
    lines += ["", "Published, each on a source of its own:", "", "| | mm |", "|---|---|"]
    return [*lines, *(f"| {name} | {figure} |" for name, figure in ANCHORS), ""]


def _worst(found: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [
        "At most two of a scan.",
        "",
        "| scan | landmark | off mm | claimed sigma mm | flagged |",
        "|---|---|---|---|---|",
    ]
    for one in found:
        off = "missed" if one["off_mm"] is None else f"{one['off_mm']:+.0f}"
        flagged = "yes" if one["flagged"] else "no"
        lines.append(f"| {one['scan']} | {one['landmark']} | {off} | {_mm(one['sigma_mm'])} | {flagged} |")
    return [*lines, ""]


def _suspects(found: Sequence[Mapping[str, Any]]) -> list[str]:
    if not found:
        return ["None disagrees with the model where its scan's other landmarks agree.", ""]
    lines = ["| scan | landmark | annotated z mm | off mm, less the others' | known |", "|---|---|---|---|---|"]
    lines += [
        f"| {one['scan']} | {one['landmark']} | {one['annotated_z_mm']} | {one['off_mm']:+.0f} | {one['known']} |"
        for one in found
    ]
    return [*lines, ""]


def _mm(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _ends(row: Mapping[str, Any]) -> str:
    ends = row["interval_mm"]
    return "-" if ends is None else f"{ends[0]:.1f} to {ends[1]:.1f}"


def _both(row: Mapping[str, Any], key: str) -> str:
    """A figure with its interval, if it has one."""
    return _mm(row[key]) + (f" ({_ends(row)})" if row["interval_mm"] else "")


def _bar(bars: Mapping[str, float], key: str) -> str:
    return f"<= {bars[key]:g}" if key in bars else ""
