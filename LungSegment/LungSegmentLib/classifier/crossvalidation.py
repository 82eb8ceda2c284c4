"""How good a classifier is on patients that it never saw: folds by patient, several times, with what it has to beat.

Each fold's network learns from some folds, stops by another and is scored on the last. Beside it, on the same folds: a
logistic regression of the lungs' histogram, one of what the headers tell, and the network again with labels that are
shuffled among the scans, which can't be learned: if it seems to be, the evaluation leaks.

    OUT/inputs/           each scan made ready, see ``prepared``
    OUT/runs/<labels>/repetition-<r>/fold-<f>/    training run and scores.json of each network
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from CTVolumeLib.batch import Outcome
from CTVolumeLib.errors import CTError
from CTVolumeLib.files import write_atomic
from CTVolumeLib.progress import Progress

from . import baseline, folds, prepared
from . import scores as figures
from .inputs import InputOptions
from .prepared import PreparedScan
from .scores import Scored
from .table import LabelledScan, check_classes, patients

if TYPE_CHECKING:
    from CTVolumeLib.network_fitting import Machine

    from .training import Settings

TRUE, SHUFFLED = "true", "shuffled"
_SCORES = "scores.json"
_STEPS = 1000
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """How it is measured.

    Attributes:
        folds: parts of the patients; fewer are made where a label has fewer patients, three are the least.
        repetitions: with other folds and other seeds.
        shuffled: whether to train on shuffled labels, too, which takes as long again.
        seed: of the folds and of the shuffling.
    """

    folds: int = 5
    repetitions: int = 2
    shuffled: bool = True
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was found.

    Attributes:
        scans: all that were scored.
        failed: what could not be made ready, with the reasons.
        network: scores of the network.
        histogram: of the logistic regression of the histograms.
        header: of that of the headers.
        shuffled: of the network with shuffled labels, or None.
        out: folder of the files.
        plan: how it was measured, with the number of folds that there were.
        settings: of the training.
        options: of the inputs.
        histogram_of: lungs or whole scan, as many scans each.
        training_scans: least number that a network learned from.
    """

    scans: Sequence[PreparedScan]
    failed: Sequence[Outcome]
    network: Scored
    histogram: Scored
    header: Scored
    shuffled: Scored | None
    out: Path
    plan: Plan
    settings: Settings
    options: InputOptions
    histogram_of: dict[str, int]
    training_scans: int


def run(
    table: Sequence[LabelledScan],
    out: Path,
    options: InputOptions,
    settings: Settings,
    plan: Plan,
    *,
    machine: Machine | None = None,
    jobs: int = 1,
    inputs: Path | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure; a run that was killed goes on where it was.

    Args:
        table: labelled scans.
        out: folder of all files.
        options: how scans become inputs.
        settings: of the training; each network has a seed of its own that follows from the plan's.
        plan: folds and repetitions.
        machine: what training runs on.
        jobs: processes that make scans ready.
        inputs: folder of the scans made ready, where it is not that of ``out``.
        progress: called often with what is done, what there is, and a text; False cancels.

    Raises:
        CTError: too few scans, cancelled, the folder holds another evaluation or can't be written.
    """
    ready, failed = prepared.prepare(table, options, inputs or out / "inputs", jobs=jobs, progress=progress)
    labelled = [scan for scan in table if scan.name in {one.name for one in ready}]
    check_classes(labelled, least=3)
    plan = replace(plan, folds=max(3, min(plan.folds, *patients(labelled).values())))
    labels, people = np.array([scan.label for scan in ready]), [scan.patient for scan in ready]
    drawn = [folds.split(labels, people, plan.folds, plan.seed + number) for number in range(plan.repetitions)]
    known = [scan.features() for scan in ready]
    regions = [one["region"] for one in known]
    simple = [
        _regression(rows, labels, people, drawn)
        for rows in (baseline.histogram_rows(known), baseline.header_rows(known))
    ]
    kinds = [TRUE, SHUFFLED] if plan.shuffled else [TRUE]
    count = len(kinds) * plan.repetitions * plan.folds
    found = {}
    for number, kind in enumerate(kinds):
        before = number * plan.repetitions * plan.folds
        report = _Part(progress, before, count)
        found[kind] = _networks(kind, ready, drawn, out / "runs", options, settings, plan, machine, report)
    return Evaluation(
        ready, failed, found[TRUE], *simple, found.get(SHUFFLED), out, plan, settings, options,
        {region: regions.count(region) for region in sorted(set(regions))},
        min(len(fold.train) for some in drawn for fold in some),
    )  # fmt: skip


def run_folder(out: Path, kind: str, repetition: int, fold: int) -> Path:
    """Where the training run of one network is."""
    return out / "runs" / kind / f"repetition-{repetition + 1}" / f"fold-{fold + 1}"


def _regression(
    rows: np.ndarray, labels: np.ndarray, people: Sequence[str], drawn: Sequence[Sequence[folds.Fold]]
) -> Scored:
    def score(_repetition: int, _number: int, fold: folds.Fold) -> tuple[np.ndarray, np.ndarray]:
        return baseline.scores(rows, labels, fold.train, fold.validation, fold.test)

    return _scored(np.tile(labels, (len(drawn), 1)), people, drawn, score)


def _networks(
    kind: str, ready: Sequence[PreparedScan], drawn: Sequence[Sequence[folds.Fold]], runs: Path, options: InputOptions,
    settings: Settings, plan: Plan, machine: Machine | None, report: _Part,
) -> Scored:  # fmt: skip
    """Train and score the network of each fold."""
    labels = np.tile([scan.label for scan in ready], (len(drawn), 1))
    if kind == SHUFFLED:
        rng = np.random.default_rng([plan.seed, 14])
        labels = np.stack([rng.permutation(row) for row in labels])

    def score(repetition: int, number: int, fold: folds.Fold) -> tuple[np.ndarray, np.ndarray]:
        named = {scan.name: int(label) for scan, label in zip(ready, labels[repetition])}
        own = replace(settings, seed=settings.seed + 1000 * repetition + number)
        report.at(repetition * plan.folds + number)
        work = run_folder(runs.parent, kind, repetition, number)
        return _network(work, ready, named, fold, options, own, machine, report)

    return _scored(labels, [scan.patient for scan in ready], drawn, score)


def _network(
    work: Path, ready: Sequence[PreparedScan], labels: dict[str, int], fold: folds.Fold, options: InputOptions,
    settings: Settings, machine: Machine | None, report: _Part,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Scores of the validation and the test scans of a fold; taken from disk where they are there."""
    from . import training

    learn, check, test = ([ready[n] for n in part] for part in (fold.train, fold.validation, fold.test))
    scans = [[(scan.name, scan.digest, labels[scan.name]) for scan in part] for part in (learn, check, test)]
    made_from = [asdict(settings), asdict(options), *scans]
    fingerprint = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()
    kept = _kept(work / _SCORES, fingerprint)
    if kept is None:
        try:
            model, record = training.train(
                learn, check, work, settings, options, labels=labels, machine=machine, progress=report
            )
        except CTError as error:
            if error.code != "other_run":
                raise
            text = "The folder for the results holds another evaluation: settings or scans are not the same."
            raise CTError("other_run", text, "Choose another folder, or remove this one to start again.") from error
        kept = [training.scores(model, part, settings.batch).tolist() for part in (check, test)]
        content = {"fingerprint": fingerprint, "validation": kept[0], "test": kept[1], "record": record}
        write_atomic(work / _SCORES, json.dumps(content))
        log.info("%s: best epoch %d of %d", work, record["best_epoch"], record["epochs"])
        training.forget()
    return tuple(np.array(part) for part in kept)


def _kept(path: Path, fingerprint: str) -> list[list[float]] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return [content["validation"], content["test"]] if content["fingerprint"] == fingerprint else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


_Score = Callable[[int, int, folds.Fold], tuple[np.ndarray, np.ndarray]]


def _scored(labels: np.ndarray, people: Sequence[str], drawn: Sequence[Sequence[folds.Fold]], score: _Score) -> Scored:
    """Scores of all scans from those of the folds; the threshold is chosen on each fold's validation part."""
    shape = labels.shape
    values, thresholds, parts = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape, int)
    for repetition, some in enumerate(drawn):
        for number, fold in enumerate(some):
            validation, test = score(repetition, number, fold)
            values[repetition, fold.test] = test
            parts[repetition, fold.test] = number
            truth = labels[repetition, fold.validation]
            single = len(set(truth.tolist())) < 2  # shuffled labels may leave only one in a small part
            thresholds[repetition, fold.test] = 0.5 if single else figures.threshold(validation, truth)
    return Scored(people, labels, values, parts, thresholds)


class _Part:
    """Progress of one network as a part of all."""

    def __init__(self, progress: Progress | None, before: int, count: int) -> None:
        self._progress, self._before, self._count, self._number = progress, before, count, 0

    def at(self, number: int) -> None:
        """The network that is trained now."""
        self._number = self._before + number
        self(0, 1, "")

    def __call__(self, done: int, total: int, _text: str) -> bool:
        text = f"Network {self._number + 1} of {self._count}"
        now = round(_STEPS * (self._number + done / max(total, 1)))
        if self._progress is not None and self._progress(now, _STEPS * self._count, text) is False:
            raise CTError("cancelled", "The evaluation was cancelled.", "Start it again to go on from here.")
        return True
