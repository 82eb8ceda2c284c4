"""How far matches are off: python Testing/benchmarks/measure_matching.py --data DIR [--work DIR] [ID ...].

Each scan gets follow-ups by known maps (see ``followups``). Both are located by a network that never saw the patient
(a member of the shipped model, or with ``--work`` the model of his fold of a cross-validation), matched, and refined by
the images. Beside that stand the answers of those who have no locations: the same index, the same z, the same fraction
of the scan, and the nearest score of single slices. Real pairs of examinations differ more; the one in the data set
(wb01 and ch16) is compared by the arch and the carina.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from CTSliceLocalizerLib import groundtruth, matching, predictor, registration
from CTSliceLocalizerLib.crossvalidation import left_out
from CTSliceLocalizerLib.evaluation_cases import DISTRUST
from CTSliceLocalizerLib.evaluation_robustness import by_card, by_fold, scans_of
from CTSliceLocalizerLib.matching import Match
from CTSliceLocalizerLib.results import ScanLocation
from CTVolumeLib import dicom
from CTVolumeLib.files import write_atomic
from CTVolumeLib.inference import Model

sys.path.insert(0, str(Path(__file__).resolve().parent))
import followups

SHARED_LANDMARKS = ("Aortic arch", "Bifurcation of trachea")
BARS = (
    "by the curves median 4 and 95 % 10, refined median 2, both 3 times better than the best guess; covered right in "
    "95 %; 90 % of the gross errors warned of; 0.05 s for a match, 3 s for a refined one"
)
COLUMNS = (
    "scans", "follow-up", "patients", "pairs", "slices", "by the curves", "refined", "within 2 sigma", "registered",
    "best guess", "times better", "covered right", "gross and warned: curves, refined", "seconds",
)  # fmt: skip
GROSS_MM = 20.0
EDGE_MM = 5.0
"""Slices nearer than this to the end of the other scan are not asked whether they are covered."""


@dataclass(frozen=True)
class Row:
    """One pair of scans; errors are of the slices that the follow-up truly shows.

    Attributes:
        curve_mm: distance to the true place by the curves, and by the images where they were believed.
        refined_mm: likewise after registration.
        curve_sigma_mm: as claimed by the curves.
        sigma_mm: as claimed by the refined match.
        registered: share of the matched slices that the images confirmed.
        guesses_mm: the same for those who know no locations, by name.
        covered: share of the slices of which it is rightly said whether the follow-up shows them.
        asked: number of those slices.
        warned: whether a flag says to look twice, before and after the registration.
        seconds: processor time of the match and of the refinement.
    """

    kind: str
    scan: str
    patient: str
    family: str
    curve_mm: tuple[float, ...]
    refined_mm: tuple[float, ...]
    curve_sigma_mm: tuple[float, ...]
    sigma_mm: tuple[float, ...]
    registered: float
    guesses_mm: dict[str, tuple[float, ...]]
    covered: float
    asked: int
    warned: tuple[bool, bool]
    seconds: tuple[float, float]


def main() -> None:
    """Print one line for each pair and a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds vol/, scans.csv and landmarks.csv")
    parser.add_argument("--work", type=Path, help="folder of a cross-validation, whose models are used")
    parser.add_argument("--out", type=Path, help="also write the page here, and beside it the rows as JSON")
    parser.add_argument("--every", type=int, default=1, help="take one scan of so many")
    parser.add_argument("--kinds", nargs="*", default=followups.KINDS)
    parser.add_argument("ids", nargs="*", help="scans; none means all whose patient some model never saw")
    arguments = parser.parse_args()
    unseen = by_fold(arguments.work) if arguments.work else by_card(predictor.load_model(engine="numpy"))
    found = list(scans_of(arguments.data, unseen, left_out()["scans"]))
    found = [one for one in found if not arguments.ids or one[0] in arguments.ids][:: arguments.every]
    annotations = groundtruth.read_landmarks(arguments.data / "landmarks.csv")
    rows: list[Row] = []
    for name, patient, family, model in found:
        volume = dicom.read(arguments.data / "vol" / f"{name}.nii.gz").as_axial()
        for kind in arguments.kinds:
            rng = np.random.default_rng([followups.KINDS.index(kind), *name.encode()])
            pair = followups.make(volume, annotations[name], kind, rng)
            if pair is not None:
                rows.append(measure(pair, model, name, patient, family))
                print(_line(rows[-1]), flush=True)
    source = "the model of his fold of a cross-validation" if arguments.work else "a network of the shipped model"
    text = page(rows, f"{source}, which never saw the patient")
    print(text)
    if arguments.out:
        write_atomic(arguments.out, text)
        write_atomic(arguments.out.with_suffix(".json"), json.dumps([asdict(row) for row in rows]) + "\n")
    _real_pair(arguments.data, annotations, unseen)


def measure(pair: followups.Followup, model: Model, name: str, patient: str, family: str) -> Row:
    """Match a pair of scans, and compare with the truth."""
    one, two = (predictor.locate(volume, model=model) for volume in (pair.baseline, pair.followup))
    started = time.process_time()
    curve = matching.match(one, two)
    matched = time.process_time()
    refined = registration.refine(curve, pair.baseline, pair.followup)
    seconds = (matched - started, time.process_time() - matched)
    z_mm = pair.baseline.superior()
    true, ends = pair.place(z_mm), pair.followup.superior()[[0, -1]]
    inside = (true >= ends[0]) & (true <= ends[1])
    curve_mm, curve_sigma_mm = _errors(curve, true, inside)
    refined_mm, sigma_mm = _errors(refined, true, inside)
    clear = np.minimum(np.abs(true - ends[0]), np.abs(true - ends[1])) >= EDGE_MM
    said = np.array([match.covered for match in refined.pairs]) if refined.pairs else np.zeros(len(z_mm), bool)
    doubt = any(flag.code in DISTRUST for scan in (one, two) for flag in scan.flags)
    doubt = doubt or one.refused is not None or two.refused is not None
    return Row(
        pair.kind,
        name,
        patient,
        family,
        curve_mm,
        refined_mm,
        curve_sigma_mm,
        sigma_mm,
        float(np.mean([match.method == "registered" for match in refined.pairs if match.covered] or [0])),
        {guess: _rounded(np.abs(places - true)[inside]) for guess, places in _guesses(one, two, pair).items()},
        float(np.mean(said[clear] == inside[clear])) if clear.any() else 1.0,
        int(clear.sum()),
        (doubt or bool(curve.flags or curve.refused), doubt or bool(refined.flags or refined.refused)),
        seconds,
    )


def page(rows: Sequence[Row], models: str) -> str:
    """The figures of each family and kind as Markdown.

    Args:
        rows: of all pairs.
        models: which networks located the scans.
    """
    lines = [
        "# How far matches are off",
        "",
        "Written by `Testing/benchmarks/measure_matching.py`; do not edit.",
        "",
        f"Follow-ups of real scans by known maps, each located by {models}.",
        "Errors in mm are median / 95 % / largest, of the baseline slices that the follow-up truly shows. Guesses:",
        "same index, same z, same fraction of the scan, nearest score of single slices. A slice nearer than",
        f"{EDGE_MM:g} mm to the end of the follow-up is not asked whether it is covered. Warned: matched slices off by",
        f"more than {GROSS_MM:g} mm in a pair with a warning. Seconds are processor time of the match and of its",
        "refinement, median and most. Two real examinations of a person differ in more ways.",
        f"Asked for: {BARS}.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|" + "---|" * len(COLUMNS),
    ]
    for family in ("hn", "other"):
        for kind in (*followups.KINDS, None):
            some = [row for row in rows if row.family == family and kind in (None, row.kind)]
            if some:
                lines.append(f"| {family} | {kind or '**all**'} | {' | '.join(_figures(some))} |")
    return "\n".join(lines) + "\n"


def _errors(result: Match, true: np.ndarray, inside: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Distance to the truth and claimed sigma of the slices that are inside and said to be."""
    found = [(abs(pair.followup_z_mm - z), pair.sigma_mm) for pair, z, shown in zip(result.pairs, true, inside)
             if pair.covered and shown]  # fmt: skip
    return _rounded(error for error, _ in found), _rounded(sigma for _, sigma in found)


def _guesses(one: ScanLocation, two: ScanLocation, pair: followups.Followup) -> dict[str, np.ndarray]:
    """Places that somebody would take who has no curve, for each slice of the baseline."""
    z_1, z_2 = pair.baseline.superior(), pair.followup.superior()
    rank = np.arange(len(z_1))[::-1]  # from the head down, as scanners number slices
    guesses = {
        "same index": z_2[::-1][np.minimum(rank, len(z_2) - 1)],
        "same z": np.clip(z_1, z_2[0], z_2[-1]),
        "same fraction": np.interp((z_1 - z_1[0]) / (z_1[-1] - z_1[0]), [0, 1], z_2[[0, -1]]),
    }
    if one.refused is None and two.refused is None:
        guesses["nearest score"] = two.z_mm[np.abs(one.raw[:, None] - two.raw).argmin(axis=1)]
    return guesses


def _figures(rows: Sequence[Row]) -> list[str]:
    """The cells of a line of the table, from the third column on."""
    curve, refined = (np.concatenate([getattr(row, name) for row in rows]) for name in ("curve_mm", "refined_mm"))
    sigma = np.concatenate([row.sigma_mm for row in rows])
    counts = [str(len({row.patient for row in rows})), str(len(rows)), str(curve.size)]
    if not len(curve) or not len(refined):
        return [*counts, *["-"] * (len(COLUMNS) - 2 - len(counts))]
    names = set.intersection(*(set(row.guesses_mm) for row in rows))
    guesses = {name: float(np.median(np.concatenate([row.guesses_mm[name] for row in rows]))) for name in names}
    best = min(guesses, key=guesses.get)
    better = (f"{guesses[best] / max(np.median(errors), 0.1):.1f}" for errors in (curve, refined))
    covered = np.average([row.covered for row in rows], weights=[max(row.asked, 1) for row in rows])
    times = np.array([row.seconds for row in rows])
    middle, most = np.median(times, axis=0), times.max(axis=0)
    return [
        *counts,
        _spread(curve),
        _spread(refined),
        f"{100 * np.mean(refined <= 2 * sigma):.0f} %",
        f"{100 * np.mean([row.registered for row in rows]):.0f} %",
        f"{guesses[best]:.1f} ({best})",
        " / ".join(better),
        f"{100 * covered:.1f} %",
        f"{_warned(rows, 0)}, {_warned(rows, 1)}",
        f"{middle[0]:.3f} ({most[0]:.3f}), {middle[1]:.2f} ({most[1]:.2f})",
    ]


def _warned(rows: Sequence[Row], step: int) -> str:
    """Of the slices off by more than ``GROSS_MM``, how many carry a warning."""
    gross = [
        (sum(error > GROSS_MM for error in (row.curve_mm, row.refined_mm)[step]), row.warned[step]) for row in rows
    ]
    return f"{sum(count for count, warned in gross if warned)} of {sum(count for count, _ in gross)}"


def _spread(errors: np.ndarray) -> str:
    return f"{np.median(errors):.1f} / {np.percentile(errors, 95):.1f} / {errors.max():.1f}"


def _line(row: Row) -> str:
    def both(errors: tuple[float, ...]) -> str:
        return f"{np.median(errors):5.1f} {max(errors):5.1f}" if errors else "    -     -"

    warned = " ".join(word for word, on in zip(("warned", "refined-warned"), row.warned) if on)
    sigma = f"{np.median(row.curve_sigma_mm):5.1f}" if row.curve_sigma_mm else "    -"
    figures = f"curve {both(row.curve_mm)} +- {sigma} refined {both(row.refined_mm)} registered {row.registered:.2f} "
    figures += f"covered {row.covered:.2f}"
    return f"{row.scan:7s} {row.kind:13s} {figures} {warned}"


def _rounded(values: object) -> tuple[float, ...]:
    return tuple(round(float(value), 2) for value in values)


def _real_pair(
    data: Path, annotations: dict[str, dict[str, groundtruth.Annotation]], unseen: Callable[[str], Model | None]
) -> None:
    """One person, two studies: the arch and the carina by eye, and by the match."""
    one, two = (dicom.read(data / "vol" / f"{name}.nii.gz").as_axial() for name in ("wb01", "ch16"))
    heights = [annotations["wb01"][landmark].z_mm for landmark in SHARED_LANDMARKS]
    model = unseen("P1")
    known = "" if model else " (by a network that saw this patient)"
    curve = matching.match(predictor.locate(one, model=model), predictor.locate(two, model=model))
    for method, result in (("curve", curve), ("registered", registration.refine(curve, one, two))):
        for pair, landmark in zip(result.at(heights).pairs, SHARED_LANDMARKS):
            if pair.covered:
                difference = pair.followup_z_mm - annotations["ch16"][landmark].z_mm
                text = f"{difference:+.1f} mm against the eye, sigma {pair.sigma_mm:.1f}"
                print(f"wb01 -> ch16 {landmark}, {method}: {text}{known}")
            else:
                print(f"wb01 -> ch16 {landmark}, {method}: not covered{known}")


if __name__ == "__main__":
    main()
