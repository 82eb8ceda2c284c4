"""Training the article's networks on single slices, by the same means as the compact one (see ``network_fitting``)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import keras
from CTVolumeLib import network_checkpoints as checkpoints
from CTVolumeLib import network_fitting as fitting

from . import article_networks, article_pictures
from .article_pictures import Pictures

TRAINED = "trained.npz"
AUGMENTATIONS = ("article", "none")


@dataclass(frozen=True)
class Settings:
    """Everything that decides what comes out, besides the data."""

    network: str
    seed: int = 8
    epochs: int = 30
    batch: int = 32
    patience: int = 6
    learning_rate: float = 1e-3
    augmentation: str = "article"


def train(
    learn: Pictures,
    check: Pictures,
    work: Path,
    settings: Settings,
    *,
    weights: str = article_networks.IMAGENET,
    machine: fitting.Machine | None = None,
    progress: fitting.Progress | None = None,
    told: checkpoints.Told | None = None,
) -> tuple[keras.Model, dict]:
    """Train one of the article's networks.

    Args:
        learn: slices to learn from.
        check: slices on which training decides when to stop.
        work: folder for state, logs and best weights; a run that was killed goes on from it.
        settings: network, seed and lengths.
        weights: see ``article_networks.build``.
        machine: precision and devices; None for the plainest.
        progress: called after each batch with batches done, all batches and a text; False cancels.
        told: called after each epoch with its number, from 1, and its losses.

    Returns:
        The network and a record of the run.

    Raises:
        CTError: slices of different sizes, cancelled, or the folder holds another run.
    """
    machine = machine or fitting.Machine()
    began = _began(work)
    keras.utils.set_random_seed(settings.seed)
    with machine.building():
        # What a run goes on with is in its folder, so nothing needs to be fetched for it again.
        model, begins = article_networks.build(
            settings.network, learn.size, article_networks.RANDOM if began else weights
        )
        begins = began or begins
        article_networks.freeze(model, begins != article_networks.RANDOM)
        model.compile(
            optimizer=keras.optimizers.Adam(settings.learning_rate), loss="mean_squared_error", metrics=["mae"]
        )
    checkpoints.begin(
        work,
        {
            "network": settings.network,
            "settings": asdict(settings),
            "size": learn.size,
            "weights": begins,
            "precision": machine.policy,
            "train": list(learn.series),
            "validation": list(check.series),
            "patients": learn.patients,
        },
    )
    batches = article_pictures.batches(learn, settings.batch)
    record = fitting.fit(
        model,
        lambda epoch: article_pictures.pipeline(
            learn,
            batch=settings.batch,
            seed=settings.seed,
            epochs=(epoch, settings.epochs),
            mixed=True,
            augmented=settings.augmentation == "article",
        ),
        article_pictures.pipeline(check, batch=settings.batch, seed=settings.seed),
        work,
        fitting.Lengths(settings.epochs, batches, settings.patience),
        progress=progress,
        told=told,
    )
    plain, _ = article_networks.build(settings.network, learn.size, article_networks.RANDOM)
    plain.set_weights(model.get_weights())
    checkpoints.save_weights(plain, work / TRAINED)
    return plain, {**record, "settings": asdict(settings), "weights": begins}


def trained(work: Path) -> tuple[keras.Model, bool]:
    """The network of a training run.

    Args:
        work: its folder.

    Returns:
        The network, and whether training was finished; if not it is the best so far.

    Raises:
        CTError: the folder holds no run, or no epoch of it.
    """
    run = checkpoints.read_run(work)
    model, _ = article_networks.build(run["network"], run["size"], article_networks.RANDOM)
    finished = (work / TRAINED).exists()
    checkpoints.load_weights(model, work / (TRAINED if finished else checkpoints.BEST))
    return model, finished


def _began(work: Path) -> str | None:
    """What the back-end of a run that has gone an epoch began with."""
    return checkpoints.read_run(work)["weights"] if (work / checkpoints.STATE).exists() else None
