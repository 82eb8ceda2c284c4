"""Annotated scans as training sequences.

Every scan is brought onto the networks' grid once and kept in memory (half a megabyte for 25 slices); a training
example is a random stretch of it, changed by augmentation, with the truth for each slice.
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from CTVolumeLib import dicom
from CTVolumeLib.errors import CTError

from . import augmentation, bodyscale, groundtruth, slicegrid, store
from .frontal import View
from .groundtruth import Annotation
from .landmarks import BODY_MM, NAMES

log = logging.getLogger(__name__)

LENGTHS = (12, 20, 32, 64)
SLICES_A_BATCH = 256
TARGET_SIGMA_MM = 9.0
LANDMARK_SIGMA_MM = 4.0
_SHAPES = (
    (None, None, slicegrid.SIZE, slicegrid.SIZE),
    (None, None, len(bodyscale.BIN_CENTRES)),
    (None, None),
    (None, None, len(NAMES)),
    (None, None, 2),
)
"""Of the arrays of a batch."""


@dataclass(frozen=True, eq=False)
class Scan:
    """One annotated scan on the networks' grid.

    Attributes:
        name: id in the table.
        patient: whose scan it is; whole patients go to one side of every split.
        family: scans that come from one source and look alike.
        grid: pictures with and without the surroundings.
        annotations: by landmark name.
        body_mm: (g,) true body coordinate.
        sigma_mm: (g,) how well it is known.
    """

    name: str
    patient: str
    family: str
    grid: slicegrid.SliceGrid
    annotations: Mapping[str, Annotation]
    body_mm: np.ndarray
    sigma_mm: np.ndarray


def load(folder: Path, patients: Sequence[str]) -> list[Scan]:
    """The annotated scans of the given patients.

    Args:
        folder: with ``scans.csv``, ``landmarks.csv`` and ``vol/<id>.nii.gz``.
        patients: as in the column ``patient``.
    """
    annotations = groundtruth.read_landmarks(folder / "landmarks.csv")
    scans = []
    with (folder / "scans.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["patient"] in set(patients) and row["id"] in annotations]
    for row in rows:
        name = row["id"]
        axial = dicom.read(folder / "vol" / f"{name}.nii.gz").as_axial()
        grid = slicegrid.make(axial, keep_unmasked=True)
        body, sigma = groundtruth.body_targets(grid.z_mm, annotations[name])
        family = "head and neck" if name.startswith("hn") else "other"
        scans.append(Scan(name, row["patient"], family, grid, annotations[name], body, sigma))
    log.info("%d scans loaded", len(scans))
    return scans


def from_store(folder: Path, names: Sequence[str]) -> list[Scan]:
    """Series of a compact store.

    Args:
        folder: made by ``ct-localize convert``.
        names: of the wanted series.

    Raises:
        CTError: no such store, or a file of it is damaged.
    """
    wanted = set(names)
    scans = []
    for path in store.series(folder):
        if path.parent.name in wanted:
            one = store.read_series(path)
            scans.append(Scan(one.name, one.patient, "other", one.grid, one.annotations, one.body_mm, one.sigma_mm))
    log.info("%d scans loaded", len(scans))
    return scans


class Sequences:
    """Batches of random stretches; batch ``index`` of an epoch is always the same for the same seed."""

    def __init__(
        self, scans: Sequence[Scan], *, batches: int, seed: int, strength: augmentation.Strength | None
    ) -> None:
        """Draw from scans.

        Args:
            scans: where the stretches are from.
            batches: of an epoch.
            seed: of all randomness.
            strength: of the augmentation; None for none.

        Raises:
            CTError: there is no scan, or none is long enough.
        """
        self.scans = list(scans)
        self.batches = batches
        self.seed = seed
        self.strength = strength
        longest = max((len(scan.grid.hu) for scan in self.scans), default=0)
        self.lengths = [length for length in LENGTHS if length <= longest]
        if not self.lengths:
            raise CTError(
                "too_little_data",
                f"There is no scan of at least {(LENGTHS[0] - 1) * slicegrid.CELL_MM:.0f} mm among {len(self.scans)} "
                "to train or to validate on.",
                "Annotate more scans, or divide them otherwise with ct-localize partition.",
            )
        self.share = _shares(self.scans)

    def pipeline(self, first_epoch: int, last_epoch: int, workers: int = 2) -> tf.data.Dataset:
        """The batches of epochs first..last - 1 in their order, made ahead of the training.

        Args:
            first_epoch: from 0.
            last_epoch: not included.
            workers: batches that are made at the same time.

        Returns:
            HU (n, t, 96, 96), targets and weights by output name; n and t differ from batch to batch.
        """

        def numbered(number: tf.Tensor) -> tuple:
            hu, soft, weight, landmarks, orientation = _tensors(self._arrays, number, _SHAPES)
            targets = {"raw": soft, "body": soft, "landmarks": landmarks, "orientation": orientation}
            weights = {"raw": weight, "body": weight, "orientation": weight}
            return hu, targets, weights | {"landmarks": tf.ones(tf.shape(hu)[:1])}

        return self._made(numbered, first_epoch, last_epoch, workers)

    def pictures(self, view: View, first_epoch: int, last_epoch: int, workers: int = 2) -> tf.data.Dataset:
        """The same stretches for the network of a view; other arguments as for ``pipeline``.

        Returns:
            Pictures (n, t, width, channels), targets and weights by output name.
        """

        def drawn(number: np.int64) -> tuple[np.ndarray, ...]:
            hu, *rest = self._arrays(number)
            return np.stack([view.picture(one) for one in hu]), *rest

        def numbered(number: tf.Tensor) -> tuple:
            shapes = ((None, None, view.width, view.channels), *_SHAPES[1:])
            pictures, soft, weight, landmarks, _ = _tensors(drawn, number, shapes)
            weights = {"body": weight, "landmarks": tf.ones(tf.shape(pictures)[:1])}
            return pictures, {"body": soft, "landmarks": landmarks}, weights

        return self._made(numbered, first_epoch, last_epoch, workers)

    def batch(self, epoch: int, index: int) -> tuple[np.ndarray, ...]:
        """One batch, float32.

        Returns:
            HU (n, t, 96, 96), bins (n, t, 91), their weight (n, t), landmarks (n, t + 1, 12), orientation (n, t, 2).
        """
        rng = np.random.default_rng((self.seed, epoch, index))
        length = int(rng.choice(self.lengths))
        examples = []
        while len(examples) < SLICES_A_BATCH // length:
            scan = self.scans[rng.choice(len(self.scans), p=self.share)]
            example = make_example(scan, length, rng, self.strength)
            if example is None:
                continue
            examples.append(example)
        return tuple(np.stack(part) for part in zip(*examples))

    def _made(self, numbered: Callable, first_epoch: int, last_epoch: int, workers: int) -> tf.data.Dataset:
        numbers = tf.data.Dataset.range(first_epoch * self.batches, last_epoch * self.batches)
        made = numbers.map(numbered, num_parallel_calls=workers, deterministic=True).prefetch(4)
        options = tf.data.Options()
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
        return made.with_options(options)

    def _arrays(self, number: np.int64) -> tuple[np.ndarray, ...]:
        return self.batch(int(number) // self.batches, int(number) % self.batches)


def _tensors(made: Callable, number: tf.Tensor, shapes: Sequence[tuple]) -> list[tf.Tensor]:
    """The arrays that numpy makes for a batch, with as much of their shapes as is known."""
    arrays = tf.numpy_function(made, [number], [tf.float32] * len(shapes))
    for array, shape in zip(arrays, shapes):
        array.set_shape(shape)
    return arrays


def make_example(
    scan: Scan, length: int, rng: np.random.Generator, strength: augmentation.Strength | None
) -> tuple | None:
    """A random stretch of a scan with its truth, or None where the scan is too short for it."""
    scale = augmentation.draw_scale(rng, strength) if strength else 1.0
    extent = (length - 1) / scale
    if extent > len(scan.grid.hu) - 1:
        return None
    position = rng.uniform(0, len(scan.grid.hu) - 1 - extent) + np.arange(length) / scale
    unmasked = strength is not None and rng.random() < strength.p_unmasked
    hu = scan.grid.unmasked if unmasked else scan.grid.hu
    cells = np.arange(len(scan.body_mm))
    body, known = np.interp(position, cells, scan.body_mm), np.interp(position, cells, scan.sigma_mm)
    z_mm = np.interp(position, cells, scan.grid.z_mm)
    slid = augmentation.slide(hu, position, body, rng, strength) if strength else None
    pictures = augmentation.between(hu, position) if slid is None else slid[0]
    moved = {}
    if slid is not None:
        breathing = [name for name in groundtruth.MOVES_WITH_BREATH if name in scan.annotations]
        moved = {name: float(np.interp(scan.annotations[name].z_mm, z_mm, slid[1])) for name in breathing}
    flips = np.zeros(2, dtype=np.float32)
    if strength:
        pictures, flips = augmentation.slices(pictures, scale, rng, strength)
    area = np.interp(position, cells, scan.grid.body_cm2)
    weight = (1.0 / (1.0 + (known / 20.0) ** 2)) * (area > slicegrid.MIN_BODY_CM2)
    soft = bodyscale.soft_bins(body, np.hypot(TARGET_SIGMA_MM, known))
    landmarks = _landmark_targets(scan, z_mm, body, moved)
    orientation = np.repeat(flips[None], length, axis=0)
    return pictures.astype(np.float32), soft, weight.astype(np.float32), landmarks, orientation


def _landmark_targets(scan: Scan, z_mm: np.ndarray, body_mm: np.ndarray, moved: Mapping[str, float]) -> np.ndarray:
    """(t + 1, 12) where each landmark is, the last row for "not in this stretch"; a column of zeros is unknown."""
    targets = np.zeros((len(z_mm) + 1, len(NAMES)), dtype=np.float32)
    for column, name in enumerate(NAMES):
        if name in scan.annotations:
            z = scan.annotations[name].z_mm + moved.get(name, 0.0)
            if z_mm[0] <= z <= z_mm[-1]:
                density = np.exp(-0.5 * ((z_mm - z) / LANDMARK_SIGMA_MM) ** 2)
                targets[:-1, column] = density / density.sum()
            elif z < z_mm[0] - 12 or z > z_mm[-1] + 12:
                targets[-1, column] = 1
            continue
        if groundtruth.surely_outside(name, body_mm, scan.annotations):
            targets[-1, column] = 1
    return targets


def _shares(scans: Sequence[Scan]) -> np.ndarray:
    """(n,) how often each scan is drawn: rare regions of the body and rare sources more often."""
    regions = np.array([[np.any(np.abs(scan.body_mm - centre) < 40) for centre in BODY_MM] for scan in scans])
    rarity = (regions / np.maximum(regions.sum(axis=0), 1)).max(axis=1)
    other = np.array([scan.family == "other" for scan in scans])
    share = np.sqrt(rarity) * np.sqrt([len(scan.grid.hu) for scan in scans])
    for kind, part in ((other, 0.65), (~other, 0.35)):
        if kind.any() and not kind.all():
            share[kind] *= part / share[kind].sum()
    return share / share.sum()
