"""The command ``ct-classify``. Heavy packages are imported inside functions, so that ``--help`` is quick."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
from CTVolumeLib.batch import Outcome
from CTVolumeLib.commands import (
    CONTEXT,
    DONE,
    SOME_FAILED,
    Bar,
    exit_code,
    jobs_option,
    out_option,
    run,
    say,
    scans_argument,
    talkative,
)
from CTVolumeLib.commands import table as listing
from CTVolumeLib.errors import CTError

from .cli_options import (
    changes,
    input_options,
    inputs_of,
    machine_of,
    plan_options,
    read_table,
    settings_of,
    table_argument,
    training_options,
)

_PROGRAM = "ct-classify"
_WRONG_CALLS = {"bad_option", "wrong_call", "bad_table", "bad_model", "other_run"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: its arguments; None takes those of the process.

    Returns:
        The exit code, see ``CTVolumeLib.commands``.
    """
    return run(_classify, argv, _PROGRAM, _WRONG_CALLS)


@click.group(context_settings=CONTEXT)
@click.version_option(None, "--version", package_name="CTSliceLocalizer", prog_name=_PROGRAM)
def _classify() -> None:
    """From labelled scans to "finding yes or no", with an honest interval and a baseline without network beside it.

    SCANS.csv is a table with the columns path, label (1 or 0) and patient. Scans of one patient must share the patient,
    else the evaluation is too good. Patients are written nowhere.

    Research use only, not a medical device. Nothing is sent anywhere. Needs: pip install CTSliceLocalizer[train]
    """


@_classify.command()
@table_argument
@click.option("--out", metavar="MODEL", type=click.Path(path_type=Path), required=True, help="Name of the model's "
              "files without an ending, such as models/pneumonia.")  # fmt: skip
@click.option("--work", type=click.Path(file_okay=False, path_type=Path), help="Folder of the run. By default beside "
              "the model, with -training added to its name.")  # fmt: skip
@input_options
@training_options
@talkative
def train(scans_csv: Path, out: Path, work: Path | None, **options: Any) -> int:
    """Train a model on all scans of SCANS.csv; a fifth of the patients decides when to stop.

    It does not say how good the model is: that is ct-classify evaluate, which trains networks of its own. Start the
    same command again after a stop: it goes on, with the same losses as without the stop.

    Writes MODEL.npz and MODEL.json (the card: what goes in, threshold, what it was trained on).

    \b
    Example:
      ct-classify train scans.csv --out models/pneumonia
    """  # noqa: D301
    library = _library()
    scans = read_table(scans_csv)
    stem = library.network_model.stem_of(out)
    work = work or stem.with_name(f"{stem.name}-training")
    with Bar("Training", "step") as progress:
        made = library.training_final.train(
            scans, stem, work, inputs_of(options), settings_of(options), machine=machine_of(options),
            jobs=options["jobs"], progress=progress, told=_say_epoch,
        )  # fmt: skip
    _say_failed(made.failed)
    for text in made.notes:
        say(f"Note: {text}")
    say(f"The model is {made.weights}.")
    return SOME_FAILED if made.failed else DONE


@_classify.command()
@click.argument("model", type=click.Path(path_type=Path))
@scans_argument
@out_option
@talkative
def predict(model: Path, scans: tuple[Path, ...], out: Path) -> int:
    """Say of each SCAN how likely MODEL finds the finding in it.

    MODEL is the .npz file of ct-classify train. A SCAN is a folder with DICOM files, a zip, or a volume file; for
    models of MR a folder with one series, or a volume file. It has to be like the scans that the model was trained on:
    a network answers for any scan, also where it knows nothing.

    For each scan a folder is written: prediction.json and picture.png (what the network saw). summary.csv lists all.

    \b
    Example:
      ct-classify predict models/pneumonia.npz chest.nii.gz --out answers
    """  # noqa: D301
    library = _library()
    from CTVolumeLib import batch
    from CTVolumeLib import scans as scan_paths
    from CTVolumeLib.names import unique_names

    classifier = library.network_model.load(model)
    settings = {"model": classifier.card["sha256"]}
    path = str(library.network_model.stem_of(model))
    if classifier.options.values == "mr":
        names = unique_names(scans)
        items = [
            batch.Item(name, scan.resolve(), settings=settings, payload=(path, None))
            for name, scan in zip(names, scans)
        ]
    else:
        found = scan_paths.find_items(scans, settings, say=say)
        items = [replace(item, payload=(path, item.payload)) for item in found]
    with Bar("Classifying", "scan") as progress:
        outcomes = batch.run(items, library.training_prediction.predict_item, out, progress=progress)
    click.echo(listing(outcomes, ("probability", "finding")))
    say(f"The results are in {out}.")
    return exit_code(outcomes)


@_classify.command()
@table_argument
@out_option
@plan_options
@click.option("--shuffled/--no-shuffled", default=True, show_default=True, help="Check for leaks with shuffled "
              "labels, which takes as long again.")  # fmt: skip
@click.option("--cases", type=click.IntRange(0, 20), default=2, show_default=True, help="Pictures of each kind: with "
              "and without the finding, right and wrong.")  # fmt: skip
@input_options
@training_options
@talkative
def evaluate(
    scans_csv: Path, out: Path, folds: int, repetitions: int, shuffled: bool, cases: int, **options: Any
) -> int:
    """Measure how well a network tells the scans of SCANS.csv apart, on patients that it never saw.

    Networks are trained on folds by patient, several times; thresholds and the end of training come from validation
    folds, never from what is scored. Beside it stand a histogram of the lungs with logistic regression, and two checks
    for leaks: shuffled labels, and spacing and scanner alone. All with 95 % intervals.

    Writes evaluation.html (open it in a browser; it says in words whether the network beats the baseline),
    evaluation.json and predictions.csv. Start the same command again after a stop: what is finished is kept.

    \b
    Example:
      ct-classify evaluate scans.csv --out evaluation --folds 5 --repetitions 3
    """  # noqa: D301
    _library()
    from . import evaluation_run
    from .crossvalidation import Plan

    scans = read_table(scans_csv)
    plan = Plan(folds, repetitions, shuffled, options["seed"])
    with Bar("Evaluating", "step") as progress:
        found, figures = evaluation_run.evaluate(
            scans, out, inputs_of(options), settings_of(options), plan, machine=machine_of(options),
            jobs=options["jobs"], cases=cases, progress=progress,
        )  # fmt: skip
    click.echo(figures.verdict)
    for text in figures.alerts:
        say(f"Note: {text}")
    for text in figures.good:
        say(text)
    _say_failed(found.failed)
    say(f"Open in a browser: {out / evaluation_run.PAGE}")
    return SOME_FAILED if found.failed else DONE


@_classify.command()
@table_argument
@out_option
@plan_options
@click.option("--vary", "varied", metavar="OPTION=VALUE,...", multiple=True, required=True, help="An option and the "
              "values to try, such as network=example,resnet10 or augmentation=none. May be repeated.")  # fmt: skip
@input_options
@training_options
@talkative
def ablate(scans_csv: Path, out: Path, folds: int, repetitions: int, varied: tuple[str, ...], **options: Any) -> int:
    """Say what each choice brings: the same evaluation with one option changed at a time.

    The first variant is that of the other options as they are given. All variants are measured on the same folds.
    Writes ablation.html and ablation.csv: AUC with interval, and how far it is from the first.

    \b
    Example:
      ct-classify ablate scans.csv --out ablation --vary part=whole,centre --vary augmentation=none
    """  # noqa: D301
    _library()
    from . import evaluation_run
    from .crossvalidation import Plan

    scans = read_table(scans_csv)
    tried = [("as given", {})]
    for text in varied:
        tried += changes(text, options)
    variants = [
        evaluation_run.Variant(
            name, inputs_of({**options, **change}), settings_of({**options, **change})
        )
        for name, change in tried
    ]  # fmt: skip
    with Bar("Comparing", "step") as progress:
        compared = evaluation_run.ablate(
            scans, out, variants, Plan(folds, repetitions, False, options["seed"]), machine=machine_of(options),
            jobs=options["jobs"], progress=progress,
        )  # fmt: skip
    for one in compared:
        click.echo(f"{one.name}: AUC {one.auc.text()}, less the first {one.apart.text()}")
    say(f"Open in a browser: {out / evaluation_run.COMPARISON}.html")
    return SOME_FAILED if any(one.failed for one in compared) else DONE


@_classify.command("table")
@click.option("--yes", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True, help="Folder of "
              "the scans with the finding.")  # fmt: skip
@click.option("--no", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True, help="Folder of "
              "those without.")  # fmt: skip
@click.option("--out", metavar="SCANS.csv", type=click.Path(dir_okay=False, path_type=Path), required=True)
@talkative
def make_table(yes: Path, no: Path, out: Path) -> int:
    """Write SCANS.csv for two folders of scans: each volume file, zip or folder in them is a scan.

    Each scan is taken for a patient of its own. Where a patient has several scans put the column patient right by
    hand, else the evaluation is too good.

    \b
    Example:
      ct-classify table --yes CT-23 --no CT-0 --out scans.csv
    """  # noqa: D301
    from . import table

    rows = table.from_folders(yes, no)
    table.write(out, rows)
    say(f"{len(rows)} scans are listed in {out}. Check the column patient.")
    return DONE


@_classify.command()
@out_option
@click.option("--scans", type=click.IntRange(2), default=200, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Another number is other patients.")
@jobs_option
@talkative
def phantom(out: Path, scans: int, seed: int, jobs: int) -> int:
    """Write phantom chests to try the other commands with: every second one has patches of ground glass.

    Writes scans.csv and the scans as NIfTI.

    \b
    Example:
      ct-classify phantom --out phantoms --scans 60
    """  # noqa: D301
    from . import phantoms

    with Bar("Making phantoms", "scan") as progress:
        path = phantoms.write(out, scans, seed, jobs=jobs, progress=progress)
    say(f"The table is {path}.")
    return DONE


def _library() -> SimpleNamespace:
    """The parts that need what only training has.

    Raises:
        CTError: TensorFlow or scikit-learn is not installed or does not load.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # else it tells of every CPU feature
    try:
        if importlib.util.find_spec("sklearn") is None:
            raise ImportError("no scikit-learn", name="sklearn")
        from . import network_model, training, training_final, training_prediction
    except ImportError as error:
        text = f"ct-classify needs TensorFlow and scikit-learn; one does not load ({error.name or 'unknown'})."
        raise CTError("no_tensorflow", text, "Install them with: pip install CTSliceLocalizer[train]") from error
    return SimpleNamespace(
        network_model=network_model, training=training, training_final=training_final,
        training_prediction=training_prediction,
    )  # fmt: skip


def _say_epoch(number: int, losses: Mapping[str, float]) -> None:
    say(f"Epoch {number}: loss {losses['loss']:.4g}, validation {losses['val_loss']:.4g}")


def _say_failed(failed: Sequence[Outcome]) -> None:
    for one in failed:
        say(f"Left out {one.name}: {one.message} {one.hint}".strip())


if __name__ == "__main__":
    sys.exit(main())
