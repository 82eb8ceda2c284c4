"""Evaluating a model on a data set: which scans, which model, and the files that come out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from CTVolumeLib.errors import CTError
from CTVolumeLib.files import write_atomic
from CTVolumeLib.inference import Model

from . import evaluation_cases, evaluation_figures, evaluation_page, partition, predictor, store
from .evaluation_cases import Case
from .report_html import finite

PAGE, FIGURES = "evaluation.html", "evaluation.json"
_SAME_PART = {"test": "held_out", "held_out": "test"}
"""What the article's partition and the project's split file call the same."""

Progress = Callable[[int, int, str], bool]


@dataclass(frozen=True)
class Done:
    """What came out, in words.

    Attributes:
        summary: the main figure of each family of scans, a line each.
        alerts: what has to be known before the figures are read.
        refused: scans that the model refused.
    """

    summary: str
    alerts: tuple[str, ...]
    refused: int


def evaluate(
    model: Path,
    data: Path,
    out: Path,
    *,
    partition_file: Path | None = None,
    part: str = "test",
    engine: str = "auto",
    progress: Progress | None = None,
) -> Done:
    """Compare a model with the truth; writes ``evaluation.html`` and ``evaluation.json``.

    Args:
        model: the ``.npz`` of an exported model, or a folder that holds one.
        data: a store, or a folder with ``scans.csv``, ``landmarks.csv`` and ``vol/``.
        out: folder for the results.
        partition_file: ``partition.json``, or a split file with patients; None takes all of the data.
        part: of the partition.
        engine: of the network.
        progress: called with scans done, scans in all, and a text; False cancels.

    Raises:
        CTError: model or data can't be used or don't belong together, nothing is in that part, or cancelled.
    """
    loaded = predictor.load_model(predictor.model_file(model), engine)
    cases = list(_cases(loaded, data, partition_file, part, progress))
    if not cases:
        raise CTError(
            "nothing_to_evaluate",
            f"Nothing of {data.name} belongs to the part {part}.",
            "Choose another --part, or make another partition (ct-localize partition --help).",
        )
    alerts = _alerts(partition_file, part)
    found = evaluation_figures.figures(cases)
    about = {
        "Model": loaded.name,
        "Model SHA-256": loaded.sha256,
        "Data": data.resolve().name,
        "Part": part if partition_file else "all",
    }
    found = {"model": {"name": loaded.name, "sha256": loaded.sha256}, "part": part if partition_file else None, **found}
    write_atomic(out / PAGE, evaluation_page.make(found, cases, about, alerts))
    write_atomic(out / FIGURES, json.dumps(finite(found), indent=1) + "\n")
    return Done(_summary(found), tuple(alerts), found["refused"])


def _cases(
    model: Model, data: Path, partition_file: Path | None, part: str, progress: Progress | None
) -> Iterator[Case]:
    if (data / "scans.csv").is_file():
        if evaluation_cases.is_article(model):
            raise _mismatch(model, data)
        if not (data / "landmarks.csv").is_file():
            raise CTError("no_labels", f"{data.name} has no landmarks.csv.", "Add it, or give a store.")
        patients = None
        if partition_file is not None:
            split = evaluation_cases.read_split(partition_file)
            patients = split.get(part, split.get(_SAME_PART.get(part, part), []))
        return evaluation_cases.from_folder(data, patients, model, progress)
    uids = None if partition_file is None else _uids(partition_file, part)
    article = store.read_index(data).format == store.ARTICLE
    if article != evaluation_cases.is_article(model):
        raise _mismatch(model, data)
    read = evaluation_cases.from_article if article else evaluation_cases.from_store
    return read(data, uids, model, progress)


def _uids(path: Path, part: str) -> list[str]:
    read = partition.read(path)
    if part not in partition.PARTS:
        raise CTError("wrong_call", f"There is no part {part}.", f"Choose one of {', '.join(partition.PARTS)}.")
    return read.series(part)


def _alerts(path: Path | None, part: str) -> list[str]:
    if path is None:
        return ["All of the data was used: if any of it served for training, the figures are too good."]
    if part in (partition.TRAIN, partition.VALIDATION):
        return [f"The part {part} served for training: the figures are too good."]
    try:
        shared = partition.read(path).shared_patients()
    except CTError:
        return []  # a split file, which is by patient
    if shared:
        return [f"{shared} patients have series in several parts: the figures are too good."]
    return []


def _mismatch(model: Model, data: Path) -> CTError:
    kind = "an article network" if evaluation_cases.is_article(model) else "the compact network"
    return CTError(
        "wrong_format",
        f"{model.name} is {kind}, and {data.name} is in another format.",
        "Convert the data in the format that the model was trained on (ct-localize convert --format).",
    )


def _summary(found: evaluation_figures.Figures) -> str:
    lines = []
    for name, family in found["families"].items():
        row = family["all_landmarks"]
        size = f"{family['patients']} patients, {family['scans']} scans, {row['landmarks']} landmarks"
        if row["median_mm"] is None:
            lines.append(f"{name}: no landmark to compare ({size})")
            continue
        ends = row["interval_mm"]
        between = "too few patients for an interval" if ends is None else f"95 % interval {ends[0]:g} to {ends[1]:g}"
        lines.append(
            f"{name}: median {row['median_mm']:g} mm ({between}), worst {row['worst_mm']:g} mm, {row['missed']} missed "
            f"({size})"
        )
    return "\n".join(lines)
