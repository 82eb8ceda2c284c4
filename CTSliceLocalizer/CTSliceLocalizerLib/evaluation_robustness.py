"""How far landmarks move when a scan is altered: ``python -m CTSliceLocalizerLib.evaluation_robustness --data DIR``.

Each scan is located as it is and after each alteration (see ``alterations``), always by a network that never saw its
patient: the member of the shipped model that says so on its card, or with ``--work`` the model of the fold of a
cross-validation. Landmarks found in both are compared by their LPS z. Writes a page for people and all rows as JSON.
"""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np
from CTVolumeLib import dicom
from CTVolumeLib.files import write_atomic
from CTVolumeLib.inference import Model
from CTVolumeLib.volume import CTVolume

from . import alterations, members, predictor
from .crossvalidation import left_out
from .evaluation_cases import DISTRUST
from .results import ScanLocation

log = logging.getLogger(__name__)

DOCUMENT = Path(__file__).parents[2] / "Docs" / "Robustness.md"
MOVED_MM = 8.0
"""The bar: the median movement of landmarks in scans that are not flagged."""
CROPS = 2
"""So many random crops of each scan."""
EDGE_MM = 8.0
"""A landmark so near the end of an altered scan may be said to lie just outside."""
FAMILIES = ("hn", "other")

Unseen = Callable[[str], Model | None]
"""The model for a patient: one that never saw him, or None."""


@dataclass(frozen=True)
class Row:
    """One scan after one alteration.

    Attributes:
        refused: whether there was no result.
        flagged: whether the result says not to trust it, or there is none.
        moved_mm: for each landmark found before and after, how far it moved.
        lost: landmarks found before, well within the altered scan, that are not found any more.
        gained: landmarks that are only found after.
    """

    alteration: str
    scan: str
    patient: str
    family: str
    refused: bool
    flagged: bool
    moved_mm: tuple[float, ...]
    lost: int
    gained: int


def by_card(model: Model) -> Unseen:
    """The member of a model that never saw a patient, by its card."""
    return lambda patient: members.unseen(model, patient)


def by_fold(work: Path) -> Unseen:
    """The model of the fold in which a patient was tested; None where that fold is not finished."""
    folds = {
        patient: work / fold["name"] / "model.npz"
        for fold in json.loads((work / "run.json").read_text(encoding="utf-8"))["folds"]
        for patient in fold["test"]
    }

    def unseen(patient: str) -> Model | None:
        path = folds.get(patient)
        return predictor.load_model(path, "numpy") if path is not None and path.exists() else None

    return unseen


def scans_of(data: Path, unseen: Unseen, out: Collection[str] = ()) -> Iterable[tuple[str, str, str, Model]]:
    """Annotated scans with a model that never saw their patient: name, patient, family, model.

    Args:
        data: folder with ``scans.csv``, ``landmarks.csv`` and ``vol/``.
        unseen: gives the model.
        out: scans that don't count.
    """
    with (data / "landmarks.csv").open(newline="", encoding="utf-8") as file:
        annotated = {row["id"] for row in csv.DictReader(file)}
    with (data / "scans.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["id"] in annotated and row["id"] not in out]
    for row in rows:
        model = unseen(row["patient"])
        if model is not None:
            family = "hn" if row["id"].startswith("hn") else "other"
            yield row["id"], row["patient"], family, model


def measure(volume: CTVolume, model: Model, name: str, patient: str, family: str) -> list[Row]:
    """All alterations of one scan.

    Args:
        volume: axial, as it is.
        model: that never saw the patient.
        name: of the scan.
        patient: its patient.
        family: of the scan.
    """
    plain = predictor.locate(volume, model=model)
    rng = np.random.default_rng(sum(map(ord, name)))
    rows = []
    for kind, alter in {**alterations.KEPT, **alterations.WRONG, **alterations.MODALITY}.items():
        for _ in range(CROPS if alter is alterations.cropped else 1):
            altered = alter(volume, rng)
            result = predictor.locate(altered, model=model)
            turned = alter is alterations.upside_down
            rows.append(_row(kind, (name, patient, family), plain, result, altered, turned))
    return rows


def foreign(unseen: Sequence[Model]) -> list[Row]:
    """What is no CT of a patient, shown to each model."""
    rows = []
    for number, model in enumerate(unseen, start=1):
        for kind, make in alterations.FOREIGN.items():
            result = predictor.locate(make(np.random.default_rng(number)), model=model)
            flagged = _flagged(result)
            rows.append(Row(kind, f"model {number}", "", "", result.refused is not None, flagged, (), 0, 0))
    return rows


def markdown(rows: Sequence[Row]) -> str:
    """The page."""
    lines = [
        "# What moves the locations",
        "",
        "Written by `python -m CTSliceLocalizerLib.evaluation_robustness`; do not edit.",
        "",
        "Each scan is located as it is and altered, by a network that never saw the patient. Movements are those of",
        f"landmarks found both times, in results without a warning; asked for is a median of at most {MOVED_MM:g} mm.",
        f"A landmark is lost if it was found before, lies {EDGE_MM:g} mm or more within the altered scan and is not",
        "found any more; it is gained if it is found only then. Flagged: refused, or with a warning not to trust it.",
        "",
    ]
    for family, title in zip(FAMILIES, ("Head and neck planning CT of one source (hn)", "All other scans")):
        lines += [f"## {title}", ""]
        lines += [
            "| altered | patients | scans | flagged | landmarks | moved, median mm | 95 % within mm | worst mm | lost "
            "| gained | |",
            "|---|---|---|---|---|---|---|---|---|---|---|",
        ]
        lines += [_kept(kind, _of(rows, kind, family)) for kind in alterations.KEPT]
        lines += ["", "| wrong on purpose | patients | scans | flagged | refused | |", "|---|---|---|---|---|---|"]
        lines += [_wrong(kind, _of(rows, kind, family)) for kind in (*alterations.WRONG, *alterations.MODALITY)]
        lines.append("")
    lines += ["## No CT of a patient", "", "| shown | models | refused |", "|---|---|---|"]
    for kind in alterations.FOREIGN:
        some = [row for row in rows if row.alteration == kind]
        lines.append(f"| {kind} | {len(some)} | {sum(row.refused for row in some)} |")
    return "\n".join(lines) + "\n"


def _row(
    kind: str,
    who: tuple[str, str, str],
    plain: ScanLocation,
    result: ScanLocation,
    altered: CTVolume,
    turned: bool,
) -> Row:
    moved, lost, gained = [], 0, 0
    z_mm = altered.superior()
    if result.refused is None and plain.refused is None:
        for before in plain.landmarks:
            after = result.landmark(before.name)
            if after.inside and before.inside:
                at = z_mm[0] + z_mm[-1] - after.z_mm if turned else after.z_mm
                moved.append(round(abs(at - before.z_mm), 2))
            elif before.inside:
                lost += bool(z_mm[0] + EDGE_MM <= before.z_mm <= z_mm[-1] - EDGE_MM)
            else:
                gained += after.inside
    return Row(kind, *who, result.refused is not None, _flagged(result), tuple(moved), int(lost), int(gained))


def _flagged(result: ScanLocation) -> bool:
    return result.refused is not None or any(flag.code in DISTRUST for flag in result.flags)


def _of(rows: Sequence[Row], kind: str, family: str) -> list[Row]:
    return [row for row in rows if row.alteration == kind and row.family == family]


def _kept(kind: str, rows: Sequence[Row]) -> str:
    trusted = [row for row in rows if not row.flagged]
    moved = np.array([mm for row in trusted for mm in row.moved_mm])
    figures, verdict = "- | - | -", ""
    if len(moved):
        figures = f"{np.median(moved):.1f} | {np.percentile(moved, 95):.1f} | {moved.max():.1f}"
        verdict = "met" if np.median(moved) <= MOVED_MM else "missed"
    elif rows and all(row.flagged for row in rows):
        verdict = "met"
    counts = f"{len({row.patient for row in rows})} | {len(rows)} | {sum(row.flagged for row in rows)} | {len(moved)}"
    lost, gained = sum(row.lost for row in trusted), sum(row.gained for row in trusted)
    return f"| {kind} | {counts} | {figures} | {lost} | {gained} | {verdict} |"


def _wrong(kind: str, rows: Sequence[Row]) -> str:
    flagged, refused = sum(row.flagged for row in rows), sum(row.refused for row in rows)
    wanted = refused if kind in alterations.MODALITY else flagged
    verdict = "" if not rows else "met" if wanted == len(rows) else f"{len(rows) - wanted} missed"
    return f"| {kind} | {len({row.patient for row in rows})} | {len(rows)} | {flagged} | {refused} | {verdict} |"


@click.command()
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True,
              help="Folder with scans.csv, landmarks.csv and vol/.")  # fmt: skip
@click.option("--work", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="Folder of a cross-validation, whose models are taken instead of the shipped one.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), default=DOCUMENT, help="The page; rows lie beside it as JSON.")
@click.option("--every", type=click.IntRange(1), default=1, show_default=True, help="Take one scan of so many.")
def main(data: Path, work: Path | None, out: Path, every: int) -> None:
    """Measure what moves the locations of scans whose patients a model never saw."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    unseen = by_fold(work) if work else by_card(predictor.load_model(engine="numpy"))
    rows: list[Row] = []
    models: dict[str, Model] = {}
    for name, patient, family, model in list(scans_of(data, unseen, left_out()["scans"]))[::every]:
        volume = dicom.read(data / "vol" / f"{name}.nii.gz").as_axial()
        rows += measure(volume, model, name, patient, family)
        models[f"{model.name} {model.sha256}"] = model
        log.info("%s done", name)
    rows += foreign(list(models.values()))
    write_atomic(out, markdown(rows))
    write_atomic(out.with_suffix(".json"), json.dumps([asdict(row) for row in rows]) + "\n")
    log.info("The figures are in %s", out)


if __name__ == "__main__":
    main()
