"""The article's data: single 8-bit slices with their location, read from disk while training goes on.

They are the article's own files, one ``.npz`` for each slice, written by ``ct-localize convert --format article`` or by
the article's program. Batches follow from a seed and their number alone, and memory does not grow with the number of
slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from CTVolumeLib.errors import CTError

from . import augmentation, store
from .partition import Partition

_HINT = "Make the data set again with ct-localize convert --format article."


@dataclass(frozen=True)
class Pictures:
    """All slices of a part of the data.

    Attributes:
        files: of the slices.
        series: SeriesInstanceUIDs they are from.
        patients: how many.
        size: pixels of a side.
    """

    files: tuple[Path, ...]
    series: tuple[str, ...]
    patients: int
    size: int


def find(folder: Path, partition: Partition, part: str) -> Pictures:
    """The slices of one part.

    Args:
        folder: a store in the article's format, or any folder with the article's files.
        partition: which series is in which part.
        part: ``"train"``, ``"validation"`` or ``"test"``.

    Raises:
        CTError: there are no slices, they can't be read, or the store has the compact format.
    """
    by_series = _files(folder, set(partition.series(part)))
    files = tuple(path for uid in sorted(by_series) for path in by_series[uid])
    if not files:
        raise CTError(
            "too_little_data",
            f"{folder.name} has no slices of the part {part}.",
            "Annotate more scans, or divide them otherwise with ct-localize partition.",
        )
    patients = len({partition.patients[uid] for uid in by_series})
    return Pictures(files, tuple(sorted(by_series)), patients, len(read(files[:1])[0][0]))


def read(files: Sequence[Path], size: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Read slices.

    Args:
        files: of some slices.
        size: pixels that a side must have; None for any.

    Returns:
        (n, size, size, 1) uint8 gray and (n, 1) float32 location.

    Raises:
        CTError: a file is damaged, or its size is another one.
    """
    pictures, locations = zip(*(_read_one(path) for path in files))
    for path, picture in zip(files, pictures):
        expected = (size or pictures[0].shape[0],) * 2
        if picture.shape != expected:
            text = f"{_called(path)} is {picture.shape} pixels, not {expected} like the others."
            raise CTError("bad_slice", text, _HINT)
    return np.stack(pictures)[..., None], np.array(locations, np.float32)[:, None]


def pipeline(
    pictures: Pictures,
    *,
    batch: int,
    seed: int,
    epochs: tuple[int, int] = (0, 1),
    mixed: bool = False,
    augmented: bool = False,
) -> tf.data.Dataset:
    """Batches of whole epochs, made ahead of the training.

    Args:
        pictures: where the slices are.
        batch: slices of a batch; the last one of an epoch may have fewer.
        seed: of order and augmentation.
        epochs: from the first one to before the last one.
        mixed: each epoch in an order of its own.
        augmented: change the slices as the article did.

    Returns:
        Gray (n, size, size, 1) float32 and location (n, 1).
    """
    count = batches(pictures, batch)

    def load(number: np.int64) -> tuple[np.ndarray, np.ndarray]:
        epoch, index = divmod(int(number), count)
        order = np.arange(len(pictures.files))
        if mixed:
            order = np.random.default_rng((seed, epoch)).permutation(order)
        return read([pictures.files[i] for i in order[index * batch : (index + 1) * batch]], pictures.size)

    def numbered(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        gray, location = tf.numpy_function(load, [number], [tf.uint8, tf.float32])
        gray.set_shape((None, pictures.size, pictures.size, 1))
        location.set_shape((None, 1))
        if augmented:
            return augmentation.article(gray, tf.stack([tf.constant(seed, tf.int64), number])), location
        return tf.cast(gray, tf.float32), location

    numbers = tf.data.Dataset.range(epochs[0] * count, epochs[1] * count)
    made = numbers.map(numbered, num_parallel_calls=2, deterministic=True).prefetch(2)
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return made.with_options(options)


def batches(pictures: Pictures, batch: int) -> int:
    """Batches of an epoch."""
    return -(-len(pictures.files) // batch)


def _files(folder: Path, wanted: set[str]) -> dict[str, list[Path]]:
    """By the index; without one, as the article's program leaves it, by looking into each file."""
    if (folder / store.INDEX).exists():
        index = store.read_index(folder)
        if index.format != store.ARTICLE:
            raise CTError(
                "wrong_format",
                f"{folder.name} has the compact format; the article's networks take single slices.",
                "Convert the data again with --format article, or train with --network compact.",
            )
        return {entry.uid: sorted(entry.path.glob("*.npz")) for entry in index.series if entry.uid in wanted}
    by_series: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*.npz")):
        uid = str(_arrays(path, "series_instance_UID")[0])
        if uid in wanted:
            by_series.setdefault(uid, []).append(path)
    return by_series


def _read_one(path: Path) -> tuple[np.ndarray, float]:
    pixels, location = _arrays(path, "pixels", "norm_loc")
    # The article's program kept three equal channels for the back-ends.
    pixels = pixels[..., 0] if pixels.ndim == 3 else pixels
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8), float(location)


def _arrays(path: Path, *names: str) -> list[np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return [archive[name] for name in names]
    except Exception as error:  # numpy and zipfile raise many kinds for damaged files
        text = f"{_called(path)} can't be read: it is damaged or of another program."
        raise CTError("bad_slice", text, _HINT) from error


def _called(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"
