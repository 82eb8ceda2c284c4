"""Keeps a training run on disk, so that it can be killed at any time and goes on as if nothing had happened.

After each epoch the work folder holds everything that decides what comes next: weights, optimizer, the random state of
dropout, losses so far and how long validation has not improved. Keras' own callbacks leave the random state and the
counters out, so their runs go on differently after a kill; here the losses are the same to the last bit.

    WORK/run.json       what is trained on what, checked when a run goes on
    WORK/state.npz      the run after its last whole epoch
    WORK/best.npz       weights of the epoch that validated best
    WORK/log.csv        losses of all epochs
    WORK/tensorboard/   the same for TensorBoard
"""

from __future__ import annotations

import csv
import io
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from .errors import CTError
from .files import replacing, write_atomic

SCHEMA = "ct-training/1"
RUN, STATE, BEST, LOG, BOARD = "run.json", "state.npz", "best.npz", "log.csv", "tensorboard"
MONITORED = "val_loss"

Told = Callable[[int, Mapping[str, float]], object]
log = logging.getLogger(__name__)


class Keeper(keras.callbacks.Callback):
    """Writes down each epoch, keeps the best weights, and stops where validation does not improve any more.

    What is validated and what is trained may be different weights (the mean of the last ones): ``remember`` is called
    where the model holds those that are trained, ``on_epoch_end`` where it holds those that were validated.
    """

    def __init__(self, work: Path, patience: int, told: Told | None = None) -> None:
        """Keep a run.

        Args:
            work: its folder.
            patience: epochs without improvement after which training stops.
            told: called after each epoch with its number, from 1, and its losses.
        """
        super().__init__()
        self.work = work
        self.patience = patience
        self.told = told
        self.losses: list[dict[str, float]] = []
        self._remembered: list[np.ndarray] = []
        self._board: Any = None

    @property
    def epochs(self) -> int:
        """Whole epochs so far."""
        return len(self.losses)

    @property
    def best_epoch(self) -> int:
        """The epoch, from 1, that validated best; 0 where there is none yet."""
        return int(np.argmin([loss[MONITORED] for loss in self.losses])) + 1 if self.losses else 0

    @property
    def finished(self) -> bool:
        """Whether validation has not improved for as long as the patience lasts."""
        return self.epochs - self.best_epoch >= self.patience

    def restore(self, model: keras.Model) -> None:
        """Bring a compiled model to where the run was; without a run nothing changes.

        Raises:
            CTError: the state is damaged or of another network.
        """
        path = self.work / STATE
        if not path.exists():
            return
        arrays = _read_arrays(path)
        self.losses = json.loads(str(arrays.pop("losses")))
        _assign(_state_of(model), arrays, path)
        self._write_log()

    def remember(self, *_: object) -> None:
        """Take a copy of all that is trained."""
        self._remembered = [np.array(variable) for variable in _state_of(self.model)]

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Write the epoch down: first the weights where they are the best, then the state, then what follows from it.

        Killed between any two of them, the run does the epoch again and writes the same.
        """
        self.losses.append({name: float(value) for name, value in (logs or {}).items()})
        if self.best_epoch == self.epochs:
            save_weights(self.model, self.work / BEST)
        _write_arrays(self.work / STATE, self._remembered, losses=np.array(json.dumps(self.losses)))
        self._write_log()
        self._write_board(epoch)
        if self.finished:
            self.model.stop_training = True
        if self.told:
            self.told(self.epochs, self.losses[-1])

    def on_train_end(self, logs: object = None) -> None:  # noqa: ARG002
        """Close the file for TensorBoard."""
        if self._board is not None:
            self._board.close()

    def _write_log(self) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, ["epoch", *self.losses[0]], lineterminator="\n")
        writer.writeheader()
        writer.writerows({"epoch": number, **loss} for number, loss in enumerate(self.losses, start=1))
        write_atomic(self.work / LOG, text.getvalue())

    def _write_board(self, epoch: int) -> None:
        """Losses as TensorBoard shows them; written without the package, which TensorFlow no longer brings along."""
        if self._board is None:
            self._board = tf.summary.create_file_writer(str(self.work / BOARD))
        plugin = tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
        kind = tf.compat.v1.SummaryMetadata(plugin_data=plugin, data_class=1)
        with self._board.as_default():
            for name, value in self.losses[-1].items():
                tf.summary.write(name, tf.constant(value, tf.float32), step=epoch + 1, metadata=kind)
        self._board.flush()


def begin(work: Path, run: Mapping[str, Any]) -> None:
    """Write down what is trained on what, or check that a run which is there already is the same.

    Args:
        work: folder of the run.
        run: plain data: network, settings, names of the scans.

    Raises:
        CTError: ``other_run`` where the folder holds the run of something else.
    """
    content = json.loads(json.dumps({"schema": SCHEMA, **run}))
    if (work / RUN).exists():
        if read_run(work) != content:
            raise CTError(
                "other_run",
                f"{work.name} holds another training run: network, settings or data are not the same.",
                "Choose another folder with --work, or remove this one to start again.",
            )
        return
    if (work / STATE).exists():
        raise CTError("other_run", f"{work.name} lacks {RUN}.", "Choose another folder with --work.")
    write_atomic(work / RUN, json.dumps(content, indent=1) + "\n")


def read_run(work: Path) -> dict[str, Any]:
    """What ``begin`` wrote.

    Raises:
        CTError: there is no run.
    """
    try:
        content = json.loads((work / RUN).read_text(encoding="utf-8"))
        if content["schema"] != SCHEMA:
            raise ValueError(content["schema"])
        return content
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CTError(
            "no_run", f"{work.name} holds no training run.", "Name the --work folder of ct-localize train."
        ) from error


def record(work: Path) -> dict[str, Any]:
    """How far a run is: epochs, the best of them and its validation loss.

    Raises:
        CTError: no epoch is finished, or the state is damaged.
    """
    if not (work / STATE).exists():
        raise CTError("no_run", f"No epoch of the training run {work.name} is finished.", "Train longer first.")
    losses = [loss[MONITORED] for loss in json.loads(str(_read_arrays(work / STATE)["losses"]))]
    best = int(np.argmin(losses))
    return {"epochs": len(losses), "best_epoch": best + 1, "validation_loss": round(losses[best], 4)}


def save_weights(model: keras.Model, path: Path) -> None:
    """Write the weights of a model, in their order.

    Raises:
        CTError: they can't be written.
    """
    _write_arrays(path, [np.array(weight) for weight in model.weights])


def load_weights(model: keras.Model, path: Path) -> None:
    """Read what ``save_weights`` wrote.

    Raises:
        CTError: the file is missing, damaged or of another network.
    """
    _assign(model.weights, _read_arrays(path), path)


def _state_of(model: keras.Model) -> list[Any]:
    """All variables of a compiled model: weights, seeds of dropout, optimizer."""
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    return [*model.variables, *model.optimizer.variables]


def _write_arrays(path: Path, arrays: Sequence[np.ndarray], **named: np.ndarray) -> None:
    with replacing(path) as temporary:
        np.savez(temporary, **{f"{number:05d}": array for number, array in enumerate(arrays)}, **named)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # numpy and zipfile raise many kinds for missing and damaged files
        raise CTError(
            "bad_state",
            f"{path.name} of the training run {path.parent.name} can't be read: it is missing or damaged.",
            "Remove the folder and train again.",
        ) from error


def _assign(variables: Sequence[Any], arrays: Mapping[str, np.ndarray], path: Path) -> None:
    values = [arrays[name] for name in sorted(arrays)]
    shapes = [tuple(variable.shape) for variable in variables]
    if [value.shape for value in values] != shapes:
        raise CTError(
            "bad_state",
            f"{path.name} of the training run {path.parent.name} belongs to another network.",
            "Remove the folder and train again.",
        )
    for variable, value in zip(variables, values):
        variable.assign(value)
