"""Training the compact network; ``python -m HeadrestRemovalLib.train --data DIR`` makes the shipped model.

Scenes with exact truth are composed first and kept in the work folder, then the network is fitted to them in six
stages: to scenes of every kind, then also to more in which equipment touches the patient, to more in which it lies on
the skin or hugs the patient, to more of these with heads, to bodies of any form and material, and to more of all that
on patients of any size, many of whom lie on the front, by any kernel. A run that was killed goes on where it was. After
each epoch ``pictures/`` shows what the network says about the same ten slices.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path

import click
import keras
import tensorflow as tf
from CTVolumeLib import network_checkpoints as checkpoints
from CTVolumeLib import network_export as export
from CTVolumeLib import network_fitting as fitting
from keras import ops

from . import network, train_pictures, train_scenes
from .labels import HEADREST, NAMES, PATIENT
from .netgrid import CELL_MM, DEPTH, SIZE, STEP_MM

log = logging.getLogger(__name__)

MODELS = Path(__file__).parent.parent / "Resources" / "Models"
MODEL_NAME = "headrest-removal"
SCENES, LAST = "scenes", "last.npz"
_SEAM_CELLS = 5
_SEAM_WEIGHT = 6.0


@dataclass(frozen=True)
class Settings:
    """Everything that decides what comes out, besides the data."""

    seed: int = 13
    scenes: int = 240
    validation_scenes: int = 40
    epochs: int = 28
    batches: int = 40
    batch: int = 16
    validation_batches: int = 10
    patience: int = 28
    learning_rate: float = 4e-3
    weight_decay: float = 1e-3


STAGES = {
    "broad": Settings(scenes=380, epochs=20),
    "contact": Settings(scenes=720, epochs=32, learning_rate=2.5e-3, patience=32),
    "worn": Settings(scenes=1200, epochs=64, learning_rate=2.5e-3, patience=64),
    "heads": Settings(scenes=1400, epochs=56, learning_rate=2e-3, patience=56),
    "solids": Settings(scenes=2200, epochs=72, learning_rate=2e-3, patience=72),
    "varied": Settings(scenes=3200, epochs=80, learning_rate=2e-3, patience=80),
}
"""By the name of their folder in the work folder; each begins with the best weights of the one before."""


def train(
    learn: list[Path],
    check: list[Path],
    work: Path,
    settings: Settings,
    start: Path | None = None,
    best: bool = True,
    progress: fitting.Progress | None = None,
) -> tuple[keras.Model, dict]:
    """Fit the compact network to scenes.

    Args:
        learn: files of scenes, as ``train_scenes.make`` gives them.
        check: scenes of other patients, by which the best epoch is chosen.
        work: folder of the run; a run that was killed goes on from it.
        settings: seed and lengths.
        start: weights to begin with, as ``network_checkpoints`` keeps them; None for random ones.
        best: end with the weights that validated best rather than with the last ones, which are right where the scenes
            to validate on do not show what is learned.
        progress: called after each batch with batches done, all batches and a text; False cancels.

    Returns:
        The network for whole slices, and the record of the run.

    Raises:
        CTError: cancelled, or the folder holds another run.
    """
    run = {"network": "compact", "settings": asdict(settings), "scenes": [len(learn), len(check)]}
    checkpoints.begin(work, run | ({"start": start.parent.name} if start else {}))
    keras.utils.set_random_seed(settings.seed)
    cropped, whole = network.compact(train_scenes.CROP), network.compact()
    lengths = fitting.Lengths(settings.epochs, settings.batches, settings.patience)
    cropped.compile(
        fitting.optimizer(lengths, settings.learning_rate, settings.weight_decay, momentum=0.98), share_loss
    )
    if start:
        checkpoints.load_weights(cropped, start)
    pictures, truth = train_pictures.choose([train_scenes.read(path) for path in check])

    def told(epoch: int, losses: dict[str, float]) -> None:
        log.info("Epoch %d: %s", epoch, ", ".join(f"{name} {value:.4f}" for name, value in losses.items()))
        checkpoints.save_weights(cropped, work / LAST)
        whole.set_weights(cropped.get_weights())
        train_pictures.write(work, epoch, pictures, truth, whole.predict(pictures, verbose=0))

    record = fitting.fit(
        cropped,
        lambda epoch: _pipeline(learn, settings, settings.seed, epoch * settings.batches),
        _pipeline(check, settings, settings.seed + 1, count=settings.validation_batches),
        work,
        lengths,
        averaged=True,
        progress=progress,
        told=told,
    )
    if not best:
        checkpoints.load_weights(cropped, work / LAST)
    whole.set_weights(cropped.get_weights())
    return whole, {**record, "weights": "best" if best else "last", "settings": asdict(settings)}


def share_loss(truth: object, predicted: object) -> object:
    """Cross-entropy of the shares; cells at the seam of patient and equipment count seven times.

    Args:
        truth: (n, h, w, 5).
        predicted: the same.
    """
    patient, equipment = truth[..., PATIENT : PATIENT + 1], ops.sum(truth[..., HEADREST:], axis=-1, keepdims=True)
    near = [ops.max_pool(share, _SEAM_CELLS, 1, "same") > 0.3 for share in (patient, equipment)]
    weight = 1.0 + _SEAM_WEIGHT * ops.cast(near[0] & near[1], "float32") + ops.cast(equipment > 0, "float32")
    entropy = -ops.sum(truth * ops.log(ops.clip(predicted, 1e-6, 1.0)), axis=-1)
    return ops.sum(entropy * weight[..., 0]) / ops.sum(weight)


def card(source: train_scenes.Source, records: dict[str, dict]) -> dict:
    """What the model was made from and what goes in and out, for its card.

    Args:
        source: of the scenes.
        records: of each stage.
    """
    last = list(records.values())[-1]["settings"]
    return {
        "purpose": "What in a CT is not patient: headrest, table and other equipment. Research use only, not a "
        "medical device.",
        "input": f"{SIZE} x {SIZE} x {DEPTH}: a slice among its neighbours, about {STEP_MM:g} mm apart, cells of "
        f"{CELL_MM:g} mm, HU / 1000",
        "outputs": {"shares": [NAMES[value] for value in sorted(NAMES)]},
        "command": f"python -m HeadrestRemovalLib.train --data DIR --seed {last['seed']}",
        "trained_on": {
            "scenes": last["scenes"],
            "patients": train_scenes.patients(source),
            "phantoms": "seeds from 1000 on, in about a third of the scenes",
        },
        "validated_on": {
            "scenes": last["validation_scenes"],
            "patients": train_scenes.patients(train_scenes.Source(source.data, "validation")),
        },
        "training": records,
    }


def _pipeline(
    paths: list[Path], settings: Settings, seed: int, first: int = 0, count: int | None = None
) -> tf.data.Dataset:
    """Batches from the given one on; all that follow, or so many."""
    crop = train_scenes.CROP
    shapes = tuple(tf.TensorSpec((settings.batch, crop, crop, depth), tf.float32) for depth in (DEPTH, network.LABELS))
    batches = tf.data.Dataset.from_generator(
        lambda: islice(train_scenes.batches(paths, settings.batch, seed, first), count), output_signature=shapes
    )
    cardinality = tf.data.INFINITE_CARDINALITY if count is None else count
    return batches.apply(tf.data.experimental.assert_cardinality(cardinality)).prefetch(2)


@click.command()
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Folder with scans.csv and vol/.",
)
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    default=Path("work/headrest"),
    show_default=True,
    help="Scenes, backup, log and pictures; a killed run goes on from here.",
)
@click.option("--out", type=click.Path(path_type=Path), default=MODELS, help="Where the model goes.")
@click.option("--seed", type=int, default=Settings.seed, show_default=True)
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True, help="Processes that compose scenes.")
def main(data: Path, work: Path, out: Path, seed: int, jobs: int) -> None:
    """Make the shipped model again: compose scenes, train, export."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    source = train_scenes.Source(data, "train", seed)
    validation = train_scenes.Source(data, "validation", seed)
    records, start, model = {}, None, None
    for stage, usual in STAGES.items():
        settings = replace(usual, seed=seed)
        learn = train_scenes.make(source, work / SCENES, settings.scenes, jobs)
        check = train_scenes.make(validation, work / SCENES, settings.validation_scenes, jobs)
        model, records[stage] = train(learn, check, work / stage, settings, start, best=start is None)
        start = work / stage / checkpoints.BEST
    train_pictures.animate_stages(work, STAGES)
    export.export({"shares": model}, out / MODEL_NAME, card(source, records), "shares", batch=4)
    log.info("The model is in %s", out)


if __name__ == "__main__":
    main()
