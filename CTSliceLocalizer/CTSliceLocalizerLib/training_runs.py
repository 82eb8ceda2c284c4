"""From a data set to a model: training of any of the networks in a work folder, and the model's files from there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from CTVolumeLib import network_checkpoints as checkpoints
from CTVolumeLib import network_export as export
from CTVolumeLib import network_fitting as fitting
from CTVolumeLib.errors import CTError

from . import (
    article_networks,
    article_pictures,
    article_training,
    augmentation,
    dataset,
    store,
    training,
)
from . import partition as partitions

ARTICLE_PURPOSE = (
    "Where in the body a single CT slice lies, by a network of the article 'Building a CT Slice Localizer With Keras'. "
    "Measured by ct-localize evaluate; ct-localize locate takes compact networks only. "
    "Research use only, not a medical device."
)
_OPTIONS = {"batch": "batch-size"}


def train(
    data: Path,
    partition_file: Path,
    work: Path,
    *,
    network: str = training.NETWORK,
    options: Mapping[str, Any] | None = None,
    weights: str = article_networks.IMAGENET,
    machine: fitting.Machine | None = None,
    progress: fitting.Progress | None = None,
    told: checkpoints.Told | None = None,
) -> None:
    """Train a network; the work folder holds all that ``write_model`` needs.

    Args:
        data: a store; compact for the compact network, with single slices for those of the article.
        partition_file: from ``ct-localize partition``.
        work: folder of the run; a run that was killed goes on from it.
        network: ``"compact"`` or one of ``article_networks.BACK_ENDS``.
        options: settings other than the usual ones: ``seed``, ``epochs``, ``batches``, ``batch``, ``patience``,
            ``augmentation``. None of a value is the usual one.
        weights: what a back-end begins with, see ``article_networks.build``.
        machine: precision and devices.
        progress: called after each batch with batches done, all batches and a text; False cancels.
        told: called after each epoch with its number, from 1, and its losses.

    Raises:
        CTError: the data does not fit the network, an option is not for this network, cancelled, ...
    """
    divided = partitions.read(partition_file)
    compact = network == training.NETWORK
    settings = _settings(training.Settings() if compact else article_training.Settings(network), options or {})
    if compact:
        learn, check = (_scans(data, divided, part) for part in (partitions.TRAIN, partitions.VALIDATION))
        training.train(learn, check, work, settings, machine=machine, progress=progress, told=told)
    else:
        learn, check = (
            article_pictures.find(data, divided, part) for part in (partitions.TRAIN, partitions.VALIDATION)
        )
        article_training.train(
            learn, check, work, settings, weights=weights, machine=machine, progress=progress, told=told
        )


def write_model(work: Path, stem: Path, litert: bool = True) -> bool:
    """Write the files of the model that a training run has made: weights, LiteRT, card.

    Args:
        work: folder of the run.
        stem: folder and name of the files, without an ending.
        litert: also write the file for LiteRT; of an article's network that takes several GB of memory.

    Returns:
        Whether training was finished; if not, the model has the best weights so far.

    Raises:
        CTError: the folder holds no run, or no whole epoch of it; the files can't be written.
    """
    run = checkpoints.read_run(work)
    card = {
        "network": run["network"],
        "trained_on": {"scans": len(run["train"]), "patients": run["patients"]},
        "training": {
            **checkpoints.record(work),
            "settings": run["settings"],
            "precision": run["precision"],
            "validated_on": {"scans": len(run["validation"])},
        },
    }
    if run["network"] == training.NETWORK:
        parts, finished = training.trained(work)
        part, card = "encoder", {**training.ABOUT, **card}
    else:
        model, finished = article_training.trained(work)
        parts, part = {article_networks.PART: model}, article_networks.PART
        size = run["size"]
        card |= {
            "purpose": ARTICLE_PURPOSE,
            "input": f"{size} x {size} pixels, gray 0 to 255, as ct-localize convert --format article makes them",
            "outputs": {article_networks.OUTPUT: "the article's scale: 0 top of head to 0.5 head of femur"},
            "started_from": run["weights"],
        }
    card["training"]["finished"] = finished
    export.export(parts, stem, card, litert_part=part if litert else None, batch=16 if part == "encoder" else 4)
    return finished


def be_quiet() -> None:
    """Keep what Keras and TensorFlow tell of themselves out of a command's output."""
    keras.utils.disable_interactive_logging()
    tf.get_logger().setLevel("ERROR")


def forget() -> None:
    """Free what Keras keeps of networks that were trained in this process."""
    keras.backend.clear_session()


def model_stem(out: Path) -> Path:
    """Where the files of a model go: a name as it is, without ``.npz``; in a folder that is there ``model``."""
    if out.is_dir():
        return out / "model"
    return out.with_suffix("") if out.suffix == ".npz" else out


def _settings(usual: Any, options: Mapping[str, Any]) -> Any:
    """Settings with the options that were given."""
    given = {name: value for name, value in options.items() if value is not None}
    foreign = sorted(set(given) - set(vars(usual)))
    known = augmentation.STRENGTHS if isinstance(usual, training.Settings) else article_training.AUGMENTATIONS
    if foreign:
        raise CTError(
            "wrong_call", f"This network has no option --{_OPTIONS.get(foreign[0], foreign[0])}.", "Leave it away."
        )
    if given.get("augmentation", usual.augmentation) not in known:
        raise CTError(
            "wrong_call",
            f"This network can't be trained with the augmentation {given['augmentation']}.",
            f"Choose one of {', '.join(known)}.",
        )
    return replace(usual, **given)


def _scans(data: Path, divided: partitions.Partition, part: str) -> list[dataset.Scan]:
    uids = set(divided.series(part))
    names = [entry.name for entry in store.read_index(data).series if entry.uid in uids]
    return dataset.from_store(data, names)
