"""From a table of scans to the files of an evaluation, and of a comparison of variants.

OUT/evaluation.html, evaluation.json    the page and its figures
OUT/predictions.csv                     each scan's probabilities
OUT/inputs/, runs/                      see ``crossvalidation``
"""

from __future__ import annotations

import csv
import importlib.metadata
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from CTVolumeLib.errors import CTError
from CTVolumeLib.files import write_atomic
from CTVolumeLib.progress import Progress

from . import crossvalidation, evaluation_cases, evaluation_figures, evaluation_page, scores
from .crossvalidation import Evaluation, Plan
from .evaluation_figures import Figures
from .inputs import InputOptions
from .scores import Figure
from .table import LabelledScan

if TYPE_CHECKING:
    from CTVolumeLib.network_fitting import Machine

    from .training import Settings

PAGE, FIGURES, PREDICTIONS = "evaluation.html", "evaluation.json", "predictions.csv"
COMPARISON = "ablation"


@dataclass(frozen=True)
class Variant:
    """One way to do it.

    Attributes:
        name: for people, also of its folder.
        options: of the inputs.
        settings: of the training.
    """

    name: str
    options: InputOptions
    settings: Settings


@dataclass(frozen=True)
class Compared:
    """A variant's figures.

    Attributes:
        name: of the variant.
        auc: of its network.
        apart: its AUC less that of the first variant, of the same patients.
        accuracy: of its network.
        failed: scans that could not be used.
    """

    name: str
    auc: Figure
    apart: Figure
    accuracy: Figure
    failed: int


def evaluate(
    table: Sequence[LabelledScan],
    out: Path,
    options: InputOptions,
    settings: Settings,
    plan: Plan,
    *,
    machine: Machine | None = None,
    jobs: int = 1,
    cases: int = 2,
    progress: Progress | None = None,
) -> tuple[Evaluation, Figures]:
    """Measure, and write all files.

    Args:
        table: labelled scans.
        out: folder of the files; a killed run goes on from it.
        options: how scans become inputs.
        settings: of the training.
        plan: folds and repetitions.
        machine: what training runs on.
        jobs: processes that make scans ready.
        cases: pictures of each kind: with and without the finding, right and wrong.
        progress: called often with what is done, what there is, and a text; False cancels.

    Raises:
        CTError: too few scans, cancelled, the folder holds another evaluation or can't be written.
    """
    from . import networks

    found = crossvalidation.run(
        table, out, options, settings, plan, machine=machine, jobs=jobs, progress=progress
    )  # fmt: skip
    parameters = networks.parameters(settings.network, options.shape)
    figures = evaluation_figures.figures(found, parameters)
    shown = evaluation_cases.make(found, cases, parameters) if cases else []
    about = _about(found, figures, parameters)
    content = {**figures.to_json(), "about": about, "failed": {one.name: one.message for one in found.failed}}
    write_atomic(out / PREDICTIONS, predictions_csv(found))
    write_atomic(out / FIGURES, json.dumps(_finite(content), indent=1, allow_nan=False) + "\n")
    write_atomic(out / PAGE, evaluation_page.make(found, figures, shown, about))
    return found, figures


def ablate(
    table: Sequence[LabelledScan],
    out: Path,
    variants: Sequence[Variant],
    plan: Plan,
    *,
    machine: Machine | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
) -> list[Compared]:
    """Measure variants on the same folds and write ablation.html, .csv; the first is what the others are held against.

    Args:
        table: labelled scans.
        out: folder of the files; a killed run goes on from it.
        variants: what to compare.
        plan: folds and repetitions; labels are not shuffled here.
        machine: what training runs on.
        jobs: processes that make scans ready.
        progress: called often with what is done, what there is, and a text; False cancels.

    Raises:
        CTError: too few scans, cancelled, the folder holds something else or can't be written.
    """
    found, inputs = [], {}
    for number, variant in enumerate(variants):

        def told(done: int, total: int, text: str, number: int = number) -> bool:
            return progress is None or progress(number * total + done, len(variants) * total, text)

        folder = inputs.setdefault(variant.options, out / f"inputs-{len(inputs) + 1}")
        found.append(
            crossvalidation.run(
                table, out / f"variant-{number + 1}", variant.options, variant.settings, replace(plan, shuffled=False),
                machine=machine, jobs=jobs, inputs=folder, progress=told,
            )
        )  # fmt: skip
    compared = [_compared(variant.name, one, found[0]) for variant, one in zip(variants, found)]
    write_atomic(out / f"{COMPARISON}.csv", _comparison_csv(compared))
    write_atomic(out / f"{COMPARISON}.html", _comparison_page(compared, found[0]))
    return compared


def predictions_csv(found: Evaluation) -> str:
    """A line for each scan: label and, of each repetition, fold, probability and call."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    network, histogram = found.network, found.histogram
    count = len(network.scores)
    heads = [f"{what}_{n + 1}" for n in range(count) for what in ("fold", "probability", "called", "histogram")]
    writer.writerow(["scan", "label", *heads])
    called = network.scores >= network.thresholds
    for index, scan in enumerate(found.scans):
        cells = []
        for n in range(count):
            cells += [
                int(network.folds[n, index]) + 1, f"{network.scores[n, index]:.4f}", int(called[n, index]),
                f"{histogram.scores[n, index]:.4f}",
            ]  # fmt: skip
        writer.writerow([scan.name, scan.label, *cells])
    return text.getvalue()


def _compared(name: str, one: Evaluation, first: Evaluation) -> Compared:
    """A variant against the first, on the scans that both could use."""
    own, other = _common(one, first)
    weights = scores.draws(own.patients)
    all_weights = scores.draws(one.network.patients)
    return Compared(
        name,
        scores.auc(one.network, all_weights),
        scores.auc_difference(own, other, weights),
        scores.accuracy(one.network, all_weights),
        len(one.failed),
    )


def _common(one: Evaluation, other: Evaluation) -> tuple[scores.Scored, scores.Scored]:
    names = [[scan.name for scan in found.scans] for found in (one, other)]
    shared = sorted(set(names[0]) & set(names[1]))
    if not shared:
        raise CTError("too_few", "Two variants have no scan in common.", "Compare variants that read the same scans.")
    result = []
    for found, all_names in zip((one, other), names):
        index = [all_names.index(name) for name in shared]
        part = found.network
        result.append(
            scores.Scored(
                [part.patients[n] for n in index],
                *(values[:, index] for values in (part.labels, part.scores, part.folds, part.thresholds)),
            )
        )
    return result[0], result[1]


def _comparison_csv(compared: Sequence[Compared]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [f"{what}{end}" for what in ("auc", "apart", "accuracy") for end in ("", "_low", "_high")]
    writer.writerow(["variant", *names, "failed"])
    for one in compared:
        values = [value for figure in (one.auc, one.apart, one.accuracy) for value in vars(figure).values()]
        writer.writerow([one.name, *(f"{value:.4f}" for value in values), one.failed])
    return text.getvalue()


def _comparison_page(compared: Sequence[Compared], first: Evaluation) -> str:
    heads = ("Variant", "AUC", "less the first", "accuracy", "left out")
    rows = [
        (one.name, one.auc.text(), one.apart.text() if number else "", one.accuracy.text(), str(one.failed))
        for number, one in enumerate(compared)
    ]
    words = [
        f"{one.name}: {'better' if one.apart.low > 0 else 'worse' if one.apart.high < 0 else 'no difference seen'}"
        for one in compared[1:]
    ]
    people = len(set(first.network.patients))
    body = f'<p class="summary">Against {compared[0].name}: {"; ".join(words)}.</p>' if words else ""
    body += (
        f'<section class="card"><h2>Variants</h2>{evaluation_page.table(heads, rows)}<p class="caption">{people} '
        f"patients, {first.plan.folds} folds, {first.plan.repetitions} repetitions; in brackets 95 % intervals by "
        "drawing patients with replacement. The more variants are compared, the likelier one is better by chance; "
        "what was chosen here has to be measured on other patients.</p></section>"
    )
    return evaluation_page.page("Variants of a classifier", body)


def _about(found: Evaluation, figures: Figures, parameters: int) -> dict[str, str]:
    settings, options, plan = found.settings, found.options, found.plan
    slices, height, width = options.shape
    return {
        "Scans": f"{figures.scans[0]} with the finding ({figures.patients[0]} patients), {figures.scans[1]} without "
        f"({figures.patients[1]} patients)",
        "Network": f"{settings.network}, {parameters:,} parameters, {figures.parameters:,.0f} for each scan that it "
        "learns from",
        "Input": f"{options.part}, {width} x {height} x {slices} voxels, values as for {options.values.upper()}, "
        f"{options.zoom}",
        "Training": f"at most {settings.epochs} epochs, patience {settings.patience}, batches of {settings.batch}, "
        f"{settings.schedule} decay from {settings.learning_rate:g}, augmentation {settings.augmentation}",
        "Folds": f"{plan.folds} by patient, {plan.repetitions} repetitions, seed {plan.seed}",
        "Versions": ", ".join(
            f"{name} {importlib.metadata.version(name)}" for name in ("tensorflow", "keras", "scikit-learn", "numpy")
        ),
    }


def _finite(value: object) -> object:
    """JSON knows no NaN."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value
