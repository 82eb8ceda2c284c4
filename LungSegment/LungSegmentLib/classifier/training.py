"""Training a classifier: inputs come from disk, a batch at a time, and each is varied as it comes.

The validation scans alone decide when to stop and which epoch is kept. The same seed gives the same weights on a CPU,
and a run that was killed goes on as if nothing had happened (see ``CTVolumeLib.network_checkpoints``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from CTVolumeLib import network_checkpoints as checkpoints
from CTVolumeLib import network_fitting as fitting
from CTVolumeLib.errors import CTError

from . import augmentation, networks
from .inputs import InputOptions
from .prepared import PreparedScan

EXPONENTIAL, STEPS = "exponential", "steps"


@dataclass(frozen=True)
class Settings:
    """Everything that decides what comes out, besides the data.

    Attributes:
        network: one of ``networks.NETWORKS``.
        epochs: at most; in each every scan is shown once.
        batch: scans of a batch.
        patience: epochs without better validation that end the training.
        learning_rate: at the start.
        schedule: ``"exponential"``: falls evenly to a twentieth; ``"steps"``: to a tenth at half, a hundredth at 4/5.
        augmentation: one of ``augmentation.STRENGTHS``.
        seed: of weights, order and variation.
    """

    network: str = networks.SMALL
    epochs: int = 60
    batch: int = 8
    patience: int = 20
    learning_rate: float = 1e-2
    schedule: str = EXPONENTIAL
    augmentation: str = "own"
    seed: int = 0

    def __post_init__(self) -> None:
        strengths, schedules = augmentation.STRENGTHS, (EXPONENTIAL, STEPS)
        for name, known in (("network", networks.NETWORKS), ("schedule", schedules), ("augmentation", strengths)):
            if getattr(self, name) not in known:
                raise CTError(
                    "bad_option", f"There is no {name} {getattr(self, name)!r}.", f"Choose one of {', '.join(known)}."
                )


def train(
    scans: Sequence[PreparedScan],
    validation: Sequence[PreparedScan],
    work: Path,
    settings: Settings,
    options: InputOptions,
    *,
    labels: dict[str, int] | None = None,
    machine: fitting.Machine | None = None,
    progress: fitting.Progress | None = None,
    told: checkpoints.Told | None = None,
) -> tuple[keras.Model, dict]:
    """Train a network.

    Args:
        scans: what to learn from.
        validation: scans of other patients, that decide when training stops.
        work: folder of the run; a run that was killed goes on from it.
        settings: seed and lengths.
        options: by which the inputs were made.
        labels: by name, other than those of the scans; for the check with shuffled labels.
        machine: precision and devices; None for the plainest.
        progress: called after each batch with batches done, all batches and a text; False cancels.
        told: called after each epoch with its number, from 1, and its losses.

    Returns:
        The network with the weights that validated best, in 32 bits, and the record of the run.

    Raises:
        CTError: cancelled, or the folder holds another run.
    """
    machine = machine or fitting.Machine()
    labels = labels or {scan.name: scan.label for scan in (*scans, *validation)}
    shape, batches = options.shape, -(-len(scans) // settings.batch)
    lengths = fitting.Lengths(settings.epochs, batches, settings.patience)
    checkpoints.begin(work, _run(scans, validation, labels, options, settings, machine))
    keras.utils.set_random_seed(settings.seed)
    with machine.building():
        model = networks.build(settings.network, shape)
        _begin_at_share(model, float(np.mean([labels[scan.name] for scan in scans])))
        model.compile(_optimizer(settings, lengths), keras.losses.BinaryCrossentropy())
    record = fitting.fit(
        model,
        lambda epoch: _pipeline(lambda: _endless(scans, labels, settings, epoch), shape),
        _pipeline(lambda: _once(validation, labels, settings.batch), shape, -(-len(validation) // settings.batch)),
        work,
        lengths,
        averaged=True,
        progress=progress,
        told=told,
    )
    plain = networks.build(settings.network, shape)
    plain.set_weights(model.get_weights())
    return plain, {**record, "settings": asdict(settings), "precision": machine.policy}


def trained(work: Path, settings: Settings, shape: networks.Shape) -> keras.Model:
    """The best network so far of a training run.

    Raises:
        CTError: the folder holds no run, or one of another network.
    """
    model = networks.build(settings.network, shape)
    checkpoints.load_weights(model, work / checkpoints.BEST)
    return model


def scores(model: keras.Model, scans: Sequence[PreparedScan], batch: int = 8) -> np.ndarray:
    """(n,) probabilities; a batch is in memory at a time."""
    return np.concatenate([score(model, pictures) for pictures, _ in _once(scans, {}, batch)])


def score(model: keras.Model, pictures: np.ndarray) -> np.ndarray:
    """(n,) probabilities of (n, k, j, i, 1) inputs."""
    return np.asarray(model(pictures, training=False), dtype=float)[:, 0]


def forget() -> None:
    """Free what Keras keeps of networks that were trained in this process."""
    keras.backend.clear_session()


def _run(
    scans: Sequence[PreparedScan], validation: Sequence[PreparedScan], labels: dict[str, int],
    options: InputOptions, settings: Settings, machine: fitting.Machine,
) -> dict:  # fmt: skip
    """What must be the same when a run goes on."""
    return {
        "task": "classifier",
        "settings": asdict(settings),
        "precision": machine.policy,
        "inputs": asdict(options),
        "train": {scan.name: [labels[scan.name], scan.digest] for scan in scans},
        "validation": {scan.name: [labels[scan.name], scan.digest] for scan in validation},
    }


def _begin_at_share(model: keras.Model, share: float) -> None:
    """Let the network begin with the share of findings as its answer, which saves the first epochs."""
    share = float(np.clip(share, 0.01, 0.99))
    model.get_layer("finding").bias.assign([np.log(share / (1 - share))])


def _optimizer(settings: Settings, lengths: fitting.Lengths) -> keras.optimizers.Optimizer:
    total = lengths.epochs * lengths.batches
    rate = settings.learning_rate
    schedules = keras.optimizers.schedules
    if settings.schedule == STEPS:
        fall = schedules.PiecewiseConstantDecay([total // 2, total * 4 // 5], [rate, rate / 10, rate / 100])
    else:
        fall = schedules.ExponentialDecay(rate, total, 0.05)
    return keras.optimizers.AdamW(fall, weight_decay=1e-3, clipnorm=1.0, use_ema=True, ema_momentum=0.95)


_Batch = tuple[np.ndarray, np.ndarray]


def _endless(scans: Sequence[PreparedScan], labels: dict[str, int], settings: Settings, epoch: int) -> Iterator[_Batch]:
    """Batches from the given epoch on; their order and variation follow from seed, epoch and place alone."""
    strength = augmentation.STRENGTHS[settings.augmentation]
    while True:
        order = np.random.default_rng([settings.seed, epoch]).permutation(len(scans))
        missing = -len(scans) % settings.batch
        order = np.resize(order, len(scans) + missing)  # the last batch is filled up from the front
        for start in range(0, len(order), settings.batch):
            chosen = order[start : start + settings.batch]
            pictures = [
                augmentation.vary(
                    scans[n].input(), strength, np.random.default_rng([settings.seed, epoch, start + place])
                )
                for place, n in enumerate(chosen)
            ]
            yield np.stack(pictures)[..., None], _targets([scans[n] for n in chosen], labels)
        epoch += 1


def _once(scans: Sequence[PreparedScan], labels: dict[str, int], batch: int) -> Iterator[_Batch]:
    for start in range(0, len(scans), batch):
        some = scans[start : start + batch]
        yield np.stack([scan.input() for scan in some])[..., None], _targets(some, labels)


def _targets(scans: Sequence[PreparedScan], labels: dict[str, int]) -> np.ndarray:
    return np.array([[labels.get(scan.name, scan.label)] for scan in scans], np.float32)


def _pipeline(make: Callable[[], Iterator[_Batch]], shape: tuple[int, ...], count: int = 0) -> tf.data.Dataset:
    """Batches made beside the training; without a count they never end, with one they begin anew for each epoch."""
    signature = (tf.TensorSpec((None, *shape, 1), tf.float32), tf.TensorSpec((None, 1), tf.float32))
    batches = tf.data.Dataset.from_generator(make, output_signature=signature)
    cardinality = tf.data.INFINITE_CARDINALITY if count == 0 else count
    return batches.apply(tf.data.experimental.assert_cardinality(cardinality)).prefetch(2)
