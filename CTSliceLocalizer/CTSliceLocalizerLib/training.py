"""Training the compact network, as ``ct-localize train`` and each fold of a cross-validation do.

One epoch is a fixed number of random stretches. Training stops when the validation patients no longer improve, keeps
the best weights, and goes on where it was after a kill (see ``network_checkpoints``). The same seed gives the same
weights, to the last bit on a CPU: batches are drawn from the seed and their number, dropout from states that the seed
begins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np
from CTVolumeLib import network_checkpoints as checkpoints
from CTVolumeLib import network_fitting as fitting
from CTVolumeLib.progress import part
from keras import ops
from scipy.optimize import minimize
from scipy.special import expit

from . import augmentation, curve, dataset, networks, slicegrid
from .bodyscale import BIN_CENTRES
from .landmarks import NAMES
from .members import VIEWS

NETWORK = "compact"
TRAINED = "trained.npz"
"""Weights at the very end, in the work folder; each view has a folder of its name in it."""


@dataclass(frozen=True)
class Settings:
    """Everything that decides what comes out, besides the data."""

    seed: int = 8
    epochs: int = 20
    batches: int = 60
    validation_batches: int = 24
    patience: int = 12
    learning_rate: float = 1.5e-3
    weight_decay: float = 5e-3
    augmentation: str = "own"


def train(
    scans: list[dataset.Scan],
    validation: list[dataset.Scan],
    work: Path,
    settings: Settings,
    *,
    machine: fitting.Machine | None = None,
    progress: fitting.Progress | None = None,
    told: checkpoints.Told | None = None,
) -> tuple[dict[str, keras.Model], dict]:
    """Train the networks of the slices, and then that of each view.

    Args:
        scans: what to learn from.
        validation: patients on which training decides when to stop.
        work: folder for state, logs and best weights; a run that was killed goes on from it.
        settings: seed and lengths.
        machine: precision and devices; None for the plainest.
        progress: called after each batch with batches done, all batches and a text; False cancels.
        told: called after each epoch with its number, from 1, and its losses.

    Returns:
        The networks by part, "encoder", "context" and each view, and a record of the run.

    Raises:
        CTError: too few scans, cancelled, or the folder holds another run.
    """
    machine = machine or fitting.Machine()
    run = _run(scans, validation, settings, machine)
    learn = dataset.Sequences(
        scans, batches=settings.batches, seed=settings.seed, strength=augmentation.STRENGTHS[settings.augmentation]
    )
    check = dataset.Sequences(validation, batches=settings.validation_batches, seed=settings.seed + 1, strength=None)
    checkpoints.begin(work, run)
    keras.utils.set_random_seed(settings.seed)
    with machine.building():
        encoder, context = networks.encoder(), networks.context()
        model = _compiled(networks.joined(encoder, context), settings, LOSSES)
    record = fitting.fit(
        model,
        lambda epoch: learn.pipeline(epoch, settings.epochs),
        check.pipeline(0, 1),
        work,
        _lengths(settings),
        averaged=True,
        progress=part(progress, 0, 1 + len(VIEWS)),
        told=told,
    )
    encoder, context = _plain(encoder, networks.encoder()), _plain(context, networks.context())
    fit_orientation(encoder, scans)
    checkpoints.save_weights(networks.joined(encoder, context), work / TRAINED)
    parts = {"encoder": encoder, "context": context}
    for number, view in enumerate(VIEWS, start=1):
        folder = work / view.name
        checkpoints.begin(folder, run)
        keras.utils.set_random_seed(settings.seed)
        with machine.building():
            network = networks.frontal(view)
            picture = keras.Input(network.input_shape[1:])
            model = networks.in_32_bits(picture, network(picture))
            model = _compiled(model, settings, {name: LOSSES[name] for name in network.output})
        record[view.name] = fitting.fit(
            model,
            lambda epoch, view=view: learn.pictures(view, epoch, settings.epochs),
            check.pictures(view, 0, 1),
            folder,
            _lengths(settings),
            averaged=True,
            progress=part(progress, number, 1 + len(VIEWS)),
        )
        checkpoints.save_weights(network, folder / TRAINED)
        parts[view.name] = _plain(network, networks.frontal(view))
    return parts, {**record, "settings": asdict(settings)}


def trained(work: Path) -> tuple[dict[str, keras.Model], bool]:
    """The networks of a training run.

    Args:
        work: its folder.

    Returns:
        The networks by part, and whether training was finished. If not they are the best so far, and those of the
        views may be missing.

    Raises:
        CTError: the folder holds no run, or no epoch of it.
    """
    encoder, context = networks.encoder(), networks.context()
    finished = _load(networks.joined(encoder, context), work)
    parts = {"encoder": encoder, "context": context}
    for view in VIEWS:
        folder = work / view.name
        if not finished or not (folder / checkpoints.BEST).exists():
            return parts, False
        parts[view.name] = networks.frontal(view)
        finished = _load(parts[view.name], folder)
    return parts, finished


def _load(network: keras.Model, work: Path) -> bool:
    """Give a network its weights at the end of its training, or the best so far; says which."""
    finished = (work / TRAINED).exists()
    checkpoints.load_weights(network, work / (TRAINED if finished else checkpoints.BEST))
    return finished


def _run(
    scans: Sequence[dataset.Scan], validation: Sequence[dataset.Scan], settings: Settings, machine: fitting.Machine
) -> dict:
    """What must be the same when a run goes on."""
    return {
        "network": NETWORK,
        "settings": asdict(settings),
        "precision": machine.policy,
        "train": sorted(scan.name for scan in scans),
        "validation": sorted(scan.name for scan in validation),
        "patients": len({scan.patient for scan in scans}),
    }


def _lengths(settings: Settings) -> fitting.Lengths:
    return fitting.Lengths(settings.epochs, settings.batches, settings.patience)


def _compiled(model: keras.Model, settings: Settings, losses: Mapping[str, object]) -> keras.Model:
    model.compile(
        optimizer=fitting.optimizer(_lengths(settings), settings.learning_rate, settings.weight_decay, momentum=0.99),
        loss=losses,
        loss_weights={name: LOSS_WEIGHTS[name] for name in losses},
    )
    return model


def _plain(network: keras.Model, same: keras.Model) -> keras.Model:
    """The same network with 32 bits on one device, whatever it was trained with."""
    same.set_weights(network.get_weights())
    return same


def fit_orientation(encoder: keras.Model, scans: list[dataset.Scan]) -> None:
    """Set the weights by which features tell swapped left and right, and swapped front and back.

    In the joint training orientation is a side task that head and neck scans, where left and right hardly differ, make
    vague. Here the features are frozen and each answer is a logistic regression over the slices where there is one.

    Args:
        encoder: trained; its layer "orientation" is changed.
        scans: of the training patients, each used as it is and mirrored.
    """
    as_stored = [_features(encoder, scan.grid.hu) for scan in scans]
    layer = encoder.get_layer("orientation")
    kernel, bias = (np.array(weight) for weight in layer.get_weights())
    for output, (axis, region) in enumerate(((2, curve.TRUNK_MM), (1, (-np.inf, np.inf)))):
        used = [
            (scan.body_mm > region[0]) & (scan.body_mm < region[1]) & (scan.grid.body_cm2 > slicegrid.MIN_BODY_CM2)
            for scan in scans
        ]
        plain = np.concatenate([x[some] for x, some in zip(as_stored, used)])
        swapped = np.concatenate(
            [
                _features(encoder, np.flip(scan.grid.hu, axis=axis)[some])
                for scan, some in zip(scans, used)
                if some.any()
            ]
        )
        kernel[:, output], bias[output] = _logistic_regression(plain, swapped)
    layer.set_weights([kernel, bias])


def _features(encoder: keras.Model, hu: np.ndarray) -> np.ndarray:
    return encoder.predict(hu[..., None].astype(np.float32) / 1000.0, batch_size=64, verbose=0)["features"]


def _logistic_regression(zeros: np.ndarray, ones: np.ndarray, penalty: float = 0.03) -> tuple[np.ndarray, float]:
    """Weights and bias that tell the rows of two arrays apart, ridge penalty on standardised features."""
    x = np.concatenate([zeros, ones]).astype(float)
    truth = np.repeat([0.0, 1.0], [len(zeros), len(ones)])
    mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-3
    x = (x - mean) / spread

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        z = x @ w[:-1] + w[-1]
        residual = expit(z) - truth
        value = np.mean(np.logaddexp(0, z) - truth * z) + 0.5 * penalty * w[:-1] @ w[:-1]
        return value, np.append(x.T @ residual / len(x) + penalty * w[:-1], residual.mean())

    w = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B").x
    return w[:-1] / spread, float(w[-1] - (w[:-1] / spread) @ mean)


ABOUT = {
    "purpose": "Where in the body each slice of a CT lies. Research use only, not a medical device.",
    "input": "96 x 96 pictures, 4 mm cells, HU / 1000, body only, centred on it; slices 4 mm apart, feet to head",
    "outputs": {"bins_mm": BIN_CENTRES.tolist(), "landmarks": list(NAMES)},
}
"""What the card of every compact network says."""


def landmark_loss(truth: object, logits: object) -> object:
    """Cross-entropy over "in slice 1..t, or not in this stretch" for each landmark; unknown landmarks cost nothing.

    Args:
        truth: (n, t + 1, 12), see ``dataset``.
        logits: (n, t, 12); the logit of "not in this stretch" is 0.
    """
    nowhere = ops.zeros_like(logits[:, :1])
    log_probability = ops.log_softmax(ops.concatenate([logits, nowhere], axis=1), axis=1)
    return -ops.mean(ops.sum(ops.cast(truth, logits.dtype) * log_probability, axis=1), axis=-1)


LOSSES = {
    "raw": keras.losses.CategoricalCrossentropy(from_logits=True),
    "body": keras.losses.CategoricalCrossentropy(from_logits=True),
    "landmarks": landmark_loss,
    "orientation": keras.losses.BinaryCrossentropy(from_logits=True),
}
LOSS_WEIGHTS = {"raw": 0.5, "body": 1.0, "landmarks": 1.0, "orientation": 0.3}
