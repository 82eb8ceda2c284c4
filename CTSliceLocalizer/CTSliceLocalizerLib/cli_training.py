"""The commands of ``ct-localize`` that make and judge a model of one's own.

Heavy packages are imported inside functions, so that ``--help`` is quick.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import click
from CTVolumeLib.commands import DONE, SOME_FAILED, Bar, out_option, say, scan_path, talkative
from CTVolumeLib.errors import CTError

from .cli_common import engine_option

_litert_option = click.option("--litert/--no-litert", default=True, show_default=True, help="Also write MODEL.tflite, "
                              "which is faster; of an article's network that takes 5 GB of memory.")  # fmt: skip


@click.command()
@click.argument("data", metavar="STORE", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--partition", type=scan_path, required=True, help="From ct-localize partition.")
@click.option("--out", metavar="MODEL", type=click.Path(path_type=Path), required=True, help="Name of the model's "
              "files without an ending, such as models/mine; or a folder that is there.")  # fmt: skip
@click.option("--work", type=click.Path(file_okay=False, path_type=Path), help="Folder of the run: state, logs, best "
              "weights. By default beside the model, with -training added to its name.")  # fmt: skip
@click.option("--network", type=click.Choice(["compact", "inceptionv3", "xception", "resnet50", "vgg19"]),
              default="compact", show_default=True, help="The project's own, or one of the article's.")  # fmt: skip
@click.option("--weights", default="imagenet", show_default=True, help="What an article's back-end begins with: "
              "imagenet (fetched by Keras), random, or a file of Keras' weights without top.")  # fmt: skip
@click.option("--augmentation", type=click.Choice(["own", "article", "none"]), help="How the data is varied; by "
              "default own for compact, article for the others.")  # fmt: skip
@click.option("--epochs", type=click.IntRange(1), help="At most; 36 (compact) or 30.")
@click.option("--batches", type=click.IntRange(1), help="Batches of an epoch (compact); 60.")
@click.option("--batch-size", "batch", type=click.IntRange(1), help="Slices of a batch (article's networks); 32.")
@click.option("--patience", type=click.IntRange(1), help="Epochs without improvement that end the training; 16 or 6.")
@click.option("--seed", type=click.IntRange(0), help="Another number is another run; 8.")
@_litert_option
@click.option("--mixed-precision", is_flag=True, help="16 bits where they suffice: faster on a GPU.")
@click.option("--distribute", is_flag=True, help="Share each batch among all GPUs of this machine.")
@talkative
def train(
    data: Path, partition: Path, out: Path, work: Path | None, network: str, weights: str, litert: bool,
    mixed_precision: bool, distribute: bool, **options: Any,
) -> int:  # fmt: skip
    """Train a model of one's own on STORE, a data set of ct-localize convert.

    It learns from the part train and stops when the part validation no longer improves; the part test is left for
    ct-localize evaluate. Start the same command again after a stop: it goes on, with the same losses as without the
    stop. The same seed gives the same weights on the same machine without a GPU.

    The compact network takes the compact format and makes a model for ct-localize locate and match. Those of the
    article take --format article and judge single slices; they can be evaluated, but locate does not take them.

    Writes MODEL.npz, MODEL.tflite and MODEL.json (the card); in the work folder log.csv and, for TensorBoard,
    tensorboard/. Needs TensorFlow: pip install CTSliceLocalizer[train].

    \b
    Examples:
      ct-localize train store --partition partition.json --out models/mine
      ct-localize train slices --partition partition.json --network resnet50 --out models/resnet50
    """  # noqa: D301
    runs = _training_runs()
    stem = runs.model_stem(out)
    work = work or stem.with_name(f"{stem.name}-training")
    machine = runs.fitting.Machine(mixed_precision=mixed_precision, distribute=distribute)
    with _warnings_said(), Bar("Training", "batch") as progress:
        runs.train(
            data, partition, work, network=network, options=options, weights=weights, machine=machine,
            progress=progress, told=_say_epoch,
        )  # fmt: skip
    runs.write_model(work, stem, litert)
    say(f"The model is {stem.with_name(stem.name + '.npz')}, its log {work / 'log.csv'}.")
    return DONE


@click.command("export")
@click.argument("work", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", metavar="MODEL", type=click.Path(path_type=Path), required=True, help="Name of the model's "
              "files without an ending, such as models/mine; or a folder that is there.")  # fmt: skip
@_litert_option
@talkative
def export_model(work: Path, out: Path, litert: bool) -> int:
    """Write the model of a training run, also of one that is not finished yet.

    WORK is the --work folder of ct-localize train. Writes MODEL.npz (weights for the engine that needs nothing
    installed), MODEL.tflite (the same for LiteRT) and MODEL.json (the card: what it was trained on, checksums).

    A compact network is for ct-localize locate and match (--model). One of the article judges single slices: for
    ct-localize evaluate, and for scripts by CTVolumeLib.inference.

    \b
    Example:
      ct-localize export models/mine-training --out models/mine_so_far
    """  # noqa: D301
    runs = _training_runs()
    stem = runs.model_stem(out)
    if not runs.write_model(work, stem, litert):
        say("Training is not finished: these are the best weights so far.")
    say(f"The model is {stem.with_name(stem.name + '.npz')}.")
    return DONE


@click.command()
@click.argument("model", type=scan_path)
@click.argument("data", type=scan_path)
@click.option("--partition", type=scan_path, help="From ct-localize partition; without it all of the data is used.")
@click.option("--part", default="test", show_default=True, help="Which part of the partition.")
@out_option
@engine_option
@talkative
def evaluate(model: Path, data: Path, partition: Path | None, part: str, out: Path, engine: str) -> int:
    """Say how far off a MODEL is on annotated DATA.

    MODEL is the .npz file of an exported model, or the folder of a training run. DATA is a data set of
    ct-localize convert, or a folder with scans.csv, landmarks.csv and vol/.

    Writes evaluation.html (open it in a browser) and evaluation.json: distances by landmark and by part of the body
    with 95 % intervals by patient, location against z, the worst with pictures, and what the model's sigma is worth.

    \b
    Example:
      ct-localize evaluate models/mine.npz store --partition partition.json --out evaluation
    """  # noqa: D301
    from . import evaluation_run

    with Bar("Evaluating", "scan") as progress:
        done = evaluation_run.evaluate(
            model, data, out, partition_file=partition, part=part, engine=engine, progress=progress
        )
    click.echo(done.summary)
    for text in done.alerts:
        say(f"Note: {text}")
    say(f"Open in a browser: {out / evaluation_run.PAGE}")
    return DONE if not done.refused else SOME_FAILED


def _training_runs() -> ModuleType:
    """The library of training, which needs what only training has.

    Raises:
        CTError: TensorFlow is not installed or does not load.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # else it tells of every CPU feature
    try:
        from . import training_runs
    except ImportError as error:
        text = f"Training needs TensorFlow, which is not installed or does not load ({error.name or 'unknown'})."
        raise CTError("no_tensorflow", text, "Install it with: pip install CTSliceLocalizer[train]") from error
    training_runs.be_quiet()
    return training_runs


@contextlib.contextmanager
def _warnings_said() -> Iterator[None]:
    """What the library warns of, such as weights that can't be had, is for the person who waits."""
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: say(record.getMessage())
    logger = logging.getLogger(__package__)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _say_epoch(number: int, losses: Mapping[str, float]) -> None:
    say(f"Epoch {number}: loss {losses['loss']:.4g}, validation {losses['val_loss']:.4g}")


COMMANDS: tuple[click.Command, ...] = (train, evaluate, export_model)
"""All commands of this file, in the order of their use."""
