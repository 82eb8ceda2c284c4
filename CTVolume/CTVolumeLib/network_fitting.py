"""How any of the networks is fitted: devices, precision, progress, and the one call of Keras that all share."""

from __future__ import annotations

import contextlib
import functools
import logging
import platform
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from . import network_checkpoints as checkpoints
from .errors import CTError

Progress = Callable[[int, int, str], bool]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Machine:
    """What training runs on; it changes the speed, and the result no more than rounding does.

    Attributes:
        mixed_precision: 16 bits where they suffice; only a GPU gains by it, so without one it is left off.
        distribute: share each batch among all GPUs of this machine.
    """

    mixed_precision: bool = False
    distribute: bool = False

    @property
    def policy(self) -> str:
        """Keras' name of the precision that is used here."""
        if not self.mixed_precision:
            return "float32"
        if not gpus():
            log.warning("There is no GPU for TensorFlow here, so --mixed-precision is left off: it would slow down.")
            return "float32"
        return "mixed_float16"

    @contextlib.contextmanager
    def building(self) -> Iterator[None]:
        """Networks that are built and compiled inside run as this says."""
        before = keras.mixed_precision.dtype_policy()
        scope: contextlib.AbstractContextManager = contextlib.nullcontext()
        if self.distribute:
            strategy = _mirrored()
            log.info("Each batch is shared among %d devices", strategy.num_replicas_in_sync)
            scope = strategy.scope()
        keras.mixed_precision.set_dtype_policy(self.policy)
        try:
            with scope:
                yield
        finally:
            keras.mixed_precision.set_dtype_policy(before)


@dataclass(frozen=True)
class Lengths:
    """How long a run is.

    Attributes:
        epochs: at most.
        batches: of an epoch.
        patience: epochs without better validation after which it stops.
    """

    epochs: int
    batches: int
    patience: int


def optimizer(
    lengths: Lengths, learning_rate: float, weight_decay: float, momentum: float
) -> keras.optimizers.Optimizer:
    """AdamW whose rate rises for an epoch and then falls as a cosine; the weights are averaged while it runs.

    Args:
        lengths: of the run.
        learning_rate: at its highest.
        weight_decay: as AdamW has it.
        momentum: momentum of the average of the weights, see ``fit``.
    """
    rate = keras.optimizers.schedules.CosineDecay(
        learning_rate * 0.1,
        lengths.epochs * lengths.batches,
        alpha=0.01,
        warmup_target=learning_rate,
        warmup_steps=lengths.batches,
    )
    return keras.optimizers.AdamW(rate, weight_decay=weight_decay, clipnorm=1.0, use_ema=True, ema_momentum=momentum)


def gpus() -> list:
    """GPUs that TensorFlow can use."""
    return tf.config.list_physical_devices("GPU")


def fit(
    model: keras.Model,
    learn: Callable[[int], tf.data.Dataset],
    check: tf.data.Dataset,
    work: Path,
    lengths: Lengths,
    *,
    averaged: bool = False,
    progress: Progress | None = None,
    told: checkpoints.Told | None = None,
) -> dict:
    """Fit a compiled model, from the start or from where an earlier call was killed; it ends with the best weights.

    Args:
        model: compiled; its state must follow from a seed.
        learn: gives the batches of the epochs from the given one (from 0) on.
        check: the batches to validate on.
        work: folder of the run, see ``network_checkpoints``.
        lengths: of the run.
        averaged: validate and keep the mean of the last weights; the optimizer must have ``use_ema``.
        progress: called after each batch with batches done, all batches and a text; False cancels.
        told: called after each epoch with its number, from 1, and its losses.

    Returns:
        The record of the run: epochs, best epoch, its validation loss, versions.

    Raises:
        CTError: cancelled, or the work folder holds something else or can't be written.
    """
    keeper = checkpoints.Keeper(work, lengths.patience, told)
    keeper.restore(model)
    if keeper.epochs < lengths.epochs and not keeper.finished:
        callbacks = [keras.callbacks.LambdaCallback(on_epoch_end=keeper.remember), keeper]
        if averaged:
            # The mean of the last weights is what is validated and kept: it generalises better than the last ones.
            callbacks.insert(1, keras.callbacks.SwapEMAWeights(swap_on_epoch=True))
        if progress:
            callbacks.append(_Telling(progress, lengths))
        try:
            model.fit(
                learn(keeper.epochs),
                validation_data=check,
                initial_epoch=keeper.epochs,
                epochs=lengths.epochs,
                steps_per_epoch=lengths.batches,
                shuffle=False,
                verbose=0,
                callbacks=callbacks,
            )
        except tf.errors.OpError as error:
            raise _understood(error) from error
    checkpoints.load_weights(model, work / checkpoints.BEST)
    return {
        **checkpoints.record(work),
        "versions": {
            "python": platform.python_version(),
            "keras": keras.__version__,
            "tensorflow": tf.__version__,
            "numpy": np.__version__,
        },
    }


def _understood(error: tf.errors.OpError) -> Exception:
    """What TensorFlow made an error of its own of, if a user can act on it."""
    if isinstance(error, tf.errors.ResourceExhaustedError):
        return CTError("no_memory", "The memory does not suffice for training.", "Take smaller batches or slices.")
    found = re.search(r"CTError: (.+)", error.message)
    return CTError("bad_data", found.group(1).strip()) if found else error


@functools.cache
def _mirrored() -> tf.distribute.Strategy:
    """One for the whole process: two that train one after the other mix up what their devices exchange."""
    return tf.distribute.MirroredStrategy()


class _Telling(keras.callbacks.Callback):
    """Tells how far training is and lets it be cancelled."""

    def __init__(self, progress: Progress, lengths: Lengths) -> None:
        super().__init__()
        self._progress, self._lengths, self._epoch = progress, lengths, 0

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:  # noqa: ARG002
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:  # noqa: ARG002
        done = self._epoch * self._lengths.batches + batch + 1
        text = f"Epoch {self._epoch + 1} of {self._lengths.epochs}"
        if not self._progress(done, self._lengths.epochs * self._lengths.batches, text):
            raise CTError("cancelled", "Training was cancelled; start it again to go on.")
