"""How far off the model is on held-out patients: ``python -m CTSliceLocalizerLib.evaluation --data DIR``.

For every held-out scan each annotated landmark is compared with the one found. The figures are medians over
landmarks, with the number of patients beside them, and families of scans are never pooled: one source that is easy
would hide another that is hard. Docs/Evaluation.md and the accuracy on the model's card are written from here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import numpy as np
from CTVolumeLib.files import write_atomic
from CTVolumeLib.inference import Model

from . import predictor
from .crossvalidation_document import DOCUMENT, sections_of
from .evaluation_cases import LandmarkError, from_folder
from .evaluation_figures import GROSS_MM, MIN_PATIENTS, by_patient, interval
from .landmarks import NAMES


def evaluate(data: Path, patients: Sequence[str] | None, model: Model | None = None) -> list[LandmarkError]:
    """Locate the scans of the given patients and compare.

    Args:
        data: folder with ``scans.csv``, ``landmarks.csv`` and ``vol/``.
        patients: whose scans, or None for all.
        model: other than the shipped one.
    """
    return [error for case in from_folder(data, patients, model) for error in case.landmarks]


def summary(errors: Sequence[LandmarkError]) -> dict[str, dict[str, float | int]]:
    """The figures of each family for the model's card."""
    result = {}
    for family in ("hn", "other"):
        some = [e for e in errors if e.family == family]
        off = np.abs([e.error_mm for e in some if e.error_mm is not None])
        result[family] = {
            "patients": len({e.patient for e in some}),
            "landmarks": len(off),
            "median_mm": round(float(np.median(off)), 1),
            "mean_mm": round(float(off.mean()), 1),
            "worst_mm": round(float(off.max()), 1),
            "missed": int(sum(e.error_mm is None and e.inside_true for e in some)),
            "gross_not_flagged": int(sum(_gross(e) for e in some)),
        }
    return result


def write_document(errors: Sequence[LandmarkError], card: Mapping, document: Path = DOCUMENT) -> None:
    """Write Docs/Evaluation.md of the project this file belongs to; what cross-validations put into it stays."""
    trained = card["trained_on"]
    kept = sections_of(document.read_text(encoding="utf-8")) if document.exists() else []
    calibration = np.sqrt(np.mean([(e.error_mm / e.sigma_mm) ** 2 for e in errors if e.error_mm is not None]))
    write_atomic(
        document,
        f"""# How far off the model is

Written by `make train` and `make crossvalidation`; do not edit.

Model {card["name"]}, sha256 {card["sha256"]["npz"][:12]}, trained on {trained["scans"]} scans of
{trained["patients"]} patients. The figures are from patients that took no part in training
or tuning; who they are is in `CTSliceLocalizer/Resources/Models/patients.json`. An error is found minus annotated z;
the annotations themselves are uncertain by 2 to 8 mm. "hn" are head-and-neck planning CT of one challenge, "other"
are diagnostic scans of many sources; the two are never pooled. "Missed" is a landmark that is annotated in the scan
but was said to lie outside; "unflagged > 60" is off by more than {GROSS_MM:.0f} mm in a scan without a warning.
The interval is that of the median, by drawing patients (bootstrap); with fewer than {MIN_PATIENTS} patients there is
none.

{table(errors)}

Errors are {calibration:.1f} times the claimed sigma (root mean square; 1 is honest, above 1 is too sure).

## The worst

{worst(errors)}
"""
        + "".join(f"\n{section}" for section in kept),
    )


def _gross(error: LandmarkError) -> bool:
    return not error.flagged and error.error_mm is not None and abs(error.error_mm) > GROSS_MM


def table(errors: Sequence[LandmarkError]) -> str:
    """Markdown tables: by family, by family and landmark, and the worst."""
    lines = [
        "| scans | patients | landmarks | median mm | 95 % interval | mean mm | 90 % in mm | worst mm | missed "
        "| unflagged > 60 |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for family in ("hn", "other"):
        lines.append(_row(family, [e for e in errors if e.family == family]))
    lines += [
        "",
        "| landmark | scans | patients | median mm | 95 % interval | mean mm | worst mm | missed "
        "| median claimed sigma mm |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for landmark in NAMES:
        for family in ("hn", "other"):
            some = [e for e in errors if e.family == family and e.landmark == landmark]
            if some:
                off = np.abs([e.error_mm for e in some if e.error_mm is not None])
                missed = sum(e.error_mm is None for e in some)
                patients = len({e.patient for e in some})
                figures = "- | - | - | -"
                if len(off):
                    figures = f"{np.median(off):.1f} | {_interval(some)} | {off.mean():.1f} | {off.max():.1f}"
                sigma = np.median([e.sigma_mm for e in some])
                lines.append(f"| {landmark} | {family} | {patients} | {figures} | {missed} | {sigma:.1f} |")
    return "\n".join(lines)


def _row(family: str, errors: Sequence[LandmarkError]) -> str:
    off = np.abs([e.error_mm for e in errors if e.error_mm is not None])
    if not len(off):
        return f"| {family} | 0 | 0 | - | - | - | - | - | - | - |"
    missed = sum(e.error_mm is None and e.inside_true for e in errors)
    gross = sum(_gross(e) for e in errors)
    return (
        f"| {family} | {len({e.patient for e in errors})} | {len(off)} | {np.median(off):.1f} | {_interval(errors)} "
        f"| {off.mean():.1f} | "
        f"{np.percentile(off, 90):.1f} | {off.max():.1f} | {missed} | {gross} |"
    )


def _interval(errors: Sequence[LandmarkError]) -> str:
    """The 95 % interval of the median distance, by patient."""
    found = [(error.patient, np.array([abs(error.error_mm)])) for error in errors if error.error_mm is not None]
    ends = interval(by_patient(found), np.median)
    return "-" if ends is None else f"{ends[0]:.1f} to {ends[1]:.1f}"


def worst(errors: Sequence[LandmarkError], count: int = 12) -> str:
    """Markdown table of the largest errors."""
    found = sorted((e for e in errors if e.error_mm is not None), key=lambda e: -abs(e.error_mm))[:count]
    lines = ["| scan | landmark | off mm | claimed sigma mm | flagged |", "|---|---|---|---|---|"]
    lines += [
        f"| {e.scan} | {e.landmark} | {e.error_mm:+.0f} | {e.sigma_mm:.0f} | {'yes' if e.flagged else 'no'} |"
        for e in found
    ]
    lines += [
        f"| {e.scan} | {e.landmark} | missed | {e.sigma_mm:.0f} | {'yes' if e.flagged else 'no'} |"
        for e in errors
        if e.error_mm is None and e.inside_true
    ]
    return "\n".join(lines)


@click.command()
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Folder with scans.csv, landmarks.csv and vol/.",
)
def main(data: Path) -> None:
    """Measure the shipped model on its held-out patients; write its card's accuracy and Docs/Evaluation.md."""
    models = Path(__file__).parent.parent / "Resources" / "Models"
    held_out = json.loads((models / "patients.json").read_text(encoding="utf-8"))["patients"]["held_out"]
    errors = evaluate(data, held_out)
    card_file = models / f"{predictor.MODEL_NAME}.json"
    card = json.loads(card_file.read_text(encoding="utf-8")) | {"accuracy": summary(errors)}
    write_atomic(card_file, json.dumps(card, indent=2, ensure_ascii=False) + "\n")
    write_document(errors, card)


if __name__ == "__main__":
    main()
