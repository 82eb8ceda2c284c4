"""Patient-wise cross-validation: ``python -m CTSliceLocalizerLib.crossvalidation --data DIR --work DIR --folds 5``.

Every patient is located by a model that never saw him: the patients are divided into folds, and for each fold a model
is trained on the others. With ``--publish`` these models together become the shipped one. ``--by source`` divides the
sources (repositories) instead, so that a model meets scanners and patients that it has seen nothing of. All of it goes
on where it was after a stop.

    WORK/run.json               what is trained on what; another run refuses the folder
    WORK/fold1/                 the training run, see ``network_checkpoints``, and the model
    WORK/fold1/cases.json       truth and answer of the fold's scans; a fold that has it is finished
    WORK/figures.json           the figures of all finished folds
    WORK/Crossvalidation.md     the same for people
    WORK/evaluation.html        the same with charts, and pictures of the worst
"""

from __future__ import annotations

import csv
import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from CTVolumeLib import dicom
from CTVolumeLib.errors import CTError
from CTVolumeLib.files import write_atomic
from CTVolumeLib.volume import CTVolume

from . import (
    calibration,
    crossvalidation_document,
    crossvalidation_sources,
    evaluation_cases,
    evaluation_page,
    groundtruth,
    predictor,
)
from .evaluation_cases import Case, LandmarkError
from .landmarks import BODY_MM, NAMES
from .members import VIEWS

log = logging.getLogger(__name__)

MODELS = Path(__file__).parent.parent / "Resources" / "Models"
LEFT_OUT = MODELS / "left-out.json"
RUN, CASES, FIGURES, PAGE, CHARTS = "run.json", "cases.json", "figures.json", "Crossvalidation.md", "evaluation.html"
BY = ("patient", "source")
VALIDATION_PART = 16
"""One patient of so many that a fold may learn from decides when its training stops."""
_LEVEL_MM = 150.0

Progress = Callable[[int, int, str], bool]


@dataclass(frozen=True)
class Patient:
    """Who can be put into a fold.

    Attributes:
        name: as in the table.
        scans: of his that count.
        family: ``"hn"`` or ``"other"``.
        source: where the first of his scans is from.
        level_mm: mean body coordinate of his annotated landmarks.
        may_train: whether the terms of all his scans let a shipped model learn from them.
    """

    name: str
    scans: tuple[str, ...]
    family: str
    source: str
    level_mm: float
    may_train: bool


@dataclass(frozen=True)
class Fold:
    """Patients of one training, by name."""

    name: str
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


def patients_of(data: Path, left_out: Collection[str] = ()) -> list[Patient]:
    """The patients with annotated scans, in the order of their names.

    Args:
        data: folder with ``scans.csv`` and ``landmarks.csv``.
        left_out: scans that don't count.
    """
    annotations = groundtruth.read_landmarks(data / "landmarks.csv")
    rows: dict[str, list[Mapping[str, str]]] = {}
    with (data / "scans.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["id"] in annotations and row["id"] not in left_out:
                rows.setdefault(row["patient"], []).append(row)
    found = []
    for name in sorted(rows):
        own = rows[name]
        ids = tuple(row["id"] for row in own)
        levels = [BODY_MM[NAMES.index(mark)] for scan in ids for mark in annotations[scan]]
        family = "hn" if all(scan.startswith("hn") for scan in ids) else "other"
        licensed = all(row["use"] == "train" for row in own)
        found.append(Patient(name, ids, family, own[0]["repository"], float(np.mean(levels)), licensed))
    return found


def folds(patients: Sequence[Patient], count: int, by: str = "patient", seed: int = 0) -> list[Fold]:
    """Divide patients so that each is tested once, and never by a model that saw him.

    Args:
        patients: from ``patients_of``.
        count: of the folds.
        by: ``"patient"``: each fold gets its share of each family and part of the body; ``"source"``: all patients of
            a source are in one fold, the largest source alone in the first.
        seed: of the division.

    Raises:
        CTError: there are too few patients or sources.
    """
    parts = _dealt(patients, count, seed) if by == "patient" else _by_source(patients, count)
    if not 1 < count <= len(patients) or not all(parts):
        raise CTError("too_little_data", f"{len(patients)} patients can't be divided into {count} folds.", "Take less.")
    divided = []
    for number, part in enumerate(parts):
        tested = {patient.name for patient in part}
        rest = [patient for patient in patients if patient.name not in tested and patient.may_train]
        validation = _dealt(rest, min(VALIDATION_PART, len(rest)), seed + 1 + number)[0]
        learn = [patient for patient in rest if patient not in validation]
        names = (tuple(sorted(patient.name for patient in group)) for group in (learn, validation, part))
        divided.append(Fold(f"fold{number + 1}", *names))
    return divided


def run(
    data: Path,
    work: Path,
    *,
    count: int = 5,
    by: str = "patient",
    only: Collection[int] = (),
    settings: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> list[list[Case]]:
    """Train and test fold after fold in this process; what is finished is kept.

    Args:
        data: folder with ``scans.csv``, ``landmarks.csv`` and ``vol/``.
        work: folder of the run.
        count: of the folds.
        by: see ``folds``.
        only: numbers of the folds to work on, from 1; none means all.
        settings: of the training, other than the shipped model's.
        progress: called as training is, for each fold; False cancels.

    Returns:
        The cases of each fold that is finished, with sigmas to which nothing was added.

    Raises:
        CTError: the folder holds another run, too little data, cancelled, ...
    """
    from CTVolumeLib import network_checkpoints

    from . import training, training_runs

    settled = training.Settings(**(settings or {}))
    out = set(left_out()["scans"])
    divided = folds(patients_of(data, out), count, by, settled.seed)
    annotations = hashlib.sha256((data / "landmarks.csv").read_bytes()).hexdigest()
    network_checkpoints.begin(
        work,
        {
            "network": training.NETWORK,
            "by": by,
            "settings": asdict(settled),
            "annotations": annotations,
            "folds": [asdict(fold) for fold in divided],
        },
    )
    found: list[list[Case]] = []
    for number, fold in enumerate(divided, start=1):
        path = work / fold.name / CASES
        if not path.exists() and (not only or number in only):
            log.info(
                "%s of %d: %d patients to learn from, %d to test", fold.name, count, len(fold.train), len(fold.test)
            )
            _run_fold(fold, data, work / fold.name, out, settled, progress)
            training_runs.forget()
        if path.exists():
            found.append(read_cases(path))
    return found


def left_out(path: Path = LEFT_OUT) -> dict[str, dict[str, str]]:
    """Scans that are left out (``scans``) and annotations that may be wrong (``doubtful``), with the reasons."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_cases(path: Path, cases: Sequence[Case]) -> None:
    """Keep cases without their pictures.

    Raises:
        CTError: they can't be written.
    """
    content = []
    for case in cases:
        one = {field.name: getattr(case, field.name) for field in fields(Case) if field.name not in _PICTURES}
        one = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in one.items()}
        content.append(one | {"landmarks": [asdict(error) for error in case.landmarks]})
    write_atomic(path, json.dumps(content, default=lambda value: value.item()))  # numpy's truth values


def read_cases(path: Path) -> list[Case]:
    """What ``write_cases`` wrote.

    Raises:
        CTError: the file is damaged.
    """
    try:
        cases = []
        for one in json.loads(path.read_text(encoding="utf-8")):
            one = {name: np.array(value) if name in _ARRAYS else value for name, value in one.items()}
            one["landmarks"] = tuple(LandmarkError(**error) for error in one["landmarks"])
            cases.append(Case(**one | {name: tuple(one[name]) for name in ("warnings", "claimed")}))
        return cases
    except (ValueError, TypeError, KeyError) as error:
        text = f"{path.parent.name}/{path.name} can't be read: it is damaged or of another program."
        raise CTError("bad_state", text, "Remove it; its fold will be tested again.") from error


_ARRAYS = ("place", "true_mm", "known", "found_mm", "raw_mm", "sigma_mm")
_PICTURES = ("volume", "picture")


def _run_fold(
    fold: Fold, data: Path, folder: Path, out: Collection[str], settings: Any, progress: Progress | None
) -> None:
    from . import dataset, training, training_runs

    learn, check = (
        [scan for scan in dataset.load(data, names) if scan.name not in out] for names in (fold.train, fold.validation)
    )
    training.train(learn, check, folder, settings, progress=progress, told=_log_epoch)
    training_runs.write_model(folder, folder / "model", litert=False)
    model = predictor.load_model(folder / "model.npz", "numpy")
    tested = evaluation_cases.from_folder(data, fold.test, model)
    write_cases(folder / CASES, [case for case in tested if case.name not in out])


def _write_model(work: Path, cases: Sequence[Case]) -> None:
    """The shipped model: all folds side by side, as sure as their errors allow."""
    from . import training_ensemble

    training_ensemble.publish(
        work, MODELS / predictor.MODEL_NAME, {"calibration": calibration.measure(cases).to_card()}
    )


def _lacking(work: Path, finished: Sequence[str]) -> list[str]:
    """Views that the networks of some fold, tested by an earlier program, don't have."""
    return [view.name for view in VIEWS if not all((work / fold / view.name).is_dir() for fold in finished)]


def _beside(cases: Sequence[Case], beside: Path, divided: Sequence[Mapping[str, Any]], data: Path) -> dict[str, Any]:
    """The figures by source beside those by patient."""
    patients = patients_of(data, left_out()["scans"])
    return crossvalidation_sources.compared(
        cases,
        [case for path in sorted(beside.glob(f"fold*/{CASES}")) for case in read_cases(path)],
        divided,
        {patient.name: patient.scans for patient in patients},
        {patient.name: patient.source for patient in patients},
        groundtruth.read_landmarks(data / "landmarks.csv"),
    )


def _volume(data: Path, name: str) -> CTVolume:
    return dicom.read(data / "vol" / f"{name}.nii.gz").as_axial()


def _log_epoch(epoch: int, losses: Mapping[str, float]) -> None:
    log.info("Epoch %d: loss %.3f, of validation %.3f", epoch, losses["loss"], losses["val_loss"])


def _dealt(patients: Sequence[Patient], count: int, seed: int) -> list[list[Patient]]:
    """Groups of about the same number, with the same mix of families and parts of the body."""
    rng = np.random.default_rng(seed)
    mixed = [patients[n] for n in rng.permutation(len(patients))]
    mixed.sort(key=lambda patient: (patient.family, round(patient.level_mm / _LEVEL_MM)))
    parts: list[list[Patient]] = [[] for _ in range(count)]
    for number, patient in enumerate(mixed):
        parts[number % count].append(patient)
    return parts


def _by_source(patients: Sequence[Patient], count: int) -> list[list[Patient]]:
    """Whole sources, the largest first, each to the group that is smallest so far."""
    sizes = Counter(patient.source for patient in patients)
    parts: list[list[Patient]] = [[] for _ in range(count)]
    for source, _ in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
        min(parts, key=len).extend(patient for patient in patients if patient.source == source)
    return parts


@click.command()
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True,
              help="Folder with scans.csv, landmarks.csv and vol/.")  # fmt: skip
@click.option("--work", type=click.Path(path_type=Path), default=Path("work/crossvalidation"), show_default=True,
              help="Folder of the run; a killed run goes on from here.")  # fmt: skip
@click.option("--folds", "count", type=click.IntRange(2), default=5, show_default=True)
@click.option("--by", type=click.Choice(BY), default="patient", show_default=True,
              help="What is kept together: source leaves whole sources out.")  # fmt: skip
@click.option("--only", type=click.IntRange(1), multiple=True, help="Work on this fold only, from 1; repeatable.")
@click.option("--epochs", type=click.IntRange(1), help="Other than the shipped model's.")
@click.option("--beside", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="Folder of a finished cross-validation by patient, to compare one by source with.")  # fmt: skip
@click.option("--publish", is_flag=True, help="Also write Docs/Evaluation.md and, by patient, the shipped model.")
def main(
    data: Path,
    work: Path,
    count: int,
    by: str,
    only: tuple[int, ...],
    epochs: int | None,
    beside: Path | None,
    publish: bool,
) -> None:
    """Measure how far off models are on patients, or on sources, that they never saw."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    by_fold = run(data, work, count=count, by=by, only=only, settings={"epochs": epochs} if epochs else None)
    if not by_fold:
        log.info("No fold is finished yet.")
        return
    cases = calibration.crosswise(by_fold)
    about = json.loads((work / RUN).read_text("utf-8"))
    found = crossvalidation_document.summarized(cases, by, about, left_out())
    found["lacking"] = _lacking(work, found["folds"]["finished"])
    if beside:
        found["beside"] = _beside(cases, beside, about["folds"], data)
    write_atomic(work / FIGURES, json.dumps(found, indent=1) + "\n")
    write_atomic(work / PAGE, crossvalidation_document.markdown(found))
    folded = f"{len(found['folds']['finished'])} of {count} folds by {by}, each scan by a model that never saw it"
    pictured = [replace(case, volume=partial(_volume, data, case.name)) for case in cases]
    write_atomic(
        work / CHARTS, evaluation_page.make(found, pictured, {"Data": data.resolve().name, "Part": folded}, [])
    )
    log.info("The figures are in %s", work / PAGE)
    if publish:
        if by == "patient":
            _write_model(work, [case for fold in by_fold for case in fold])
        crossvalidation_document.publish(found, MODELS / f"{predictor.MODEL_NAME}.json")


if __name__ == "__main__":
    main()
