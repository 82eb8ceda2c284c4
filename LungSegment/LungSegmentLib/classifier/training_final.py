"""From a table of scans to a model on disk: ``ct-classify train``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from CTVolumeLib import network_checkpoints as checkpoints
from CTVolumeLib import network_fitting as fitting
from CTVolumeLib.batch import Outcome
from CTVolumeLib.progress import Progress

from . import folds, network_model, networks, prepared, scores, training
from .inputs import InputOptions
from .table import LabelledScan, check_classes, patients

_PARTS = 5
"""One of so many parts of the patients is for validation."""


@dataclass(frozen=True)
class Made:
    """What came of a training.

    Attributes:
        weights: file of the model.
        failed: scans that could not be used.
        notes: what the user should know.
    """

    weights: Path
    failed: Sequence[Outcome]
    notes: Sequence[str]


def train(
    table: Sequence[LabelledScan],
    stem: Path,
    work: Path,
    options: InputOptions,
    settings: training.Settings,
    *,
    machine: fitting.Machine | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
    told: checkpoints.Told | None = None,
) -> Made:
    """Train on four fifths of the patients, stop and choose the threshold by the others, and write the model.

    How good it is nobody knows then: that is what ``evaluation_run`` measures, with networks of its own.

    Args:
        table: labelled scans.
        stem: folder and name of the model's files, without an ending.
        work: folder of inputs and training run; a run that was killed goes on from it.
        options: how scans become inputs.
        settings: of the training.
        machine: what training runs on.
        jobs: processes that make scans ready.
        progress: called after each scan and each batch; False cancels.
        told: called after each epoch with its number and its losses.

    Raises:
        CTError: too few scans, cancelled, the folder holds another run or can't be written.
    """
    ready, failed = prepared.prepare(table, options, work / "inputs", jobs=jobs, progress=progress)
    names = {scan.name for scan in ready}
    labelled = [scan for scan in table if scan.name in names]
    check_classes(labelled)
    labels = np.array([scan.label for scan in ready])
    parts = min(_PARTS, *patients(labelled).values())
    learn, check = folds.hold_out(labels, [scan.patient for scan in ready], parts, settings.seed)
    model, record = training.train(
        [ready[n] for n in learn], [ready[n] for n in check], work / "run", settings, options,
        machine=machine, progress=progress, told=told,
    )  # fmt: skip
    given = training.scores(model, [ready[n] for n in check], settings.batch)
    both = len(set(labels[check].tolist())) == 2
    threshold = scores.threshold(given, labels[check]) if both else 0.5
    about = {
        "trained_on": {
            "scans": len(learn),
            "with_finding": int(labels[learn].sum()),
            "patients": len({ready[n].patient for n in learn}),
        },
        "validated_on": {"scans": len(check), "patients": len({ready[n].patient for n in check})},
        "parameters": model.count_params(),
        "training": record,
    }
    network_model.save(stem, model, options, threshold, about)
    return Made(stem.with_name(f"{stem.name}.npz"), failed, _notes(settings, options, len(learn)))


def _notes(settings: training.Settings, options: InputOptions, scans: int) -> list[str]:
    parameters = networks.parameters(settings.network, options.shape)
    notes = ["How good this model is was not measured: ct-classify evaluate does that, on the same table."]
    if parameters > 1000 * scans:
        notes.insert(
            0,
            f"The network has {parameters:,} parameters, {parameters / scans:,.0f} for each scan that it learned from: "
            "too many. Take --network small, or more scans.",
        )
    return notes
