"""The scenes that the network learns from, composed once and kept in a folder: ``train/00012.npz`` and so on."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from CTVolumeLib.errors import CTError
from CTVolumeLib.files import npz_bytes, write_atomic

from . import compose, compose_patients
from .netgrid import SIZE, neighbours
from .split import FIRST_TRAINING_SEED, FIRST_VALIDATION_SEED, validates

OWN = 0.35
"""Share of scenes of other patients with what really lay around them."""


@dataclass(frozen=True)
class _Part:
    """Scenes from a number on: what they show, which share has a phantom, and which of the real ones a head."""

    first: int
    show: str
    phantoms: float
    heads: float


_PARTS = (
    _Part(0, "all", 0.25, 0.6),
    _Part(240, "hard", 0.45, 1.0),
    _Part(380, "contact", 0.35, 0.75),
    _Part(720, "worn", 0.4, 0.6),
    _Part(1200, "worn", 0.35, 0.8),
    _Part(1400, "solids", 0.35, 0.8),
    _Part(2200, "varied", 0.4, 0.5),
)
NOT_OWN = frozenset({"ab01"})
"""Scans with parts of the patient so faint in a slice (a breast that just begins) that they look like a blanket."""
_PHANTOM_SEEDS = 120

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """The data folder and which of its patients a part of the scenes is made of.

    Attributes:
        data: folder with ``scans.csv`` and ``vol/``.
        part: "train" or "validation".
        seed: decides what is made.
    """

    data: Path
    part: str
    seed: int = 13


def patients(source: Source) -> list[str]:
    """Keys of the patients of a part."""
    return sorted({row["patient"] for row in _rows(source.data, source.part)})


def make(source: Source, folder: Path, count: int, jobs: int = 1) -> list[Path]:
    """Compose scenes that are not there yet.

    Args:
        source: of what.
        folder: where they are kept, in a folder named after the part.
        count: how many.
        jobs: processes.

    Returns:
        The files, in order.

    Raises:
        CTError: there is no patient, or the folder can't be written.
    """
    from joblib import Parallel, delayed

    if not _rows(source.data, source.part):
        raise CTError(
            "no_data", f"{source.data.name} holds no scan for {source.part}.", "Name the folder of scans.csv."
        )
    paths = [folder / source.part / f"{number:05d}.npz" for number in range(count)]
    missing = [number for number, path in enumerate(paths) if not path.exists()]
    log.info("Composing %d scenes for %s", len(missing), source.part)
    Parallel(n_jobs=jobs)(delayed(_keep)(source, number, paths[number]) for number in missing)
    return paths


def compose_one(source: Source, number: int) -> compose.Scene:
    """The scene with this number; the same each time."""
    rng = np.random.default_rng([source.seed, number, source.part == "validation"])
    part = [part for part in _PARTS if part.first <= number][-1]
    if rng.random() < part.phantoms:
        first = FIRST_VALIDATION_SEED if source.part == "validation" else FIRST_TRAINING_SEED
        patient = _phantom(first + int(rng.integers(_PHANTOM_SEEDS)), part.show == "hard")
        return compose.scene(patient, rng, show=part.show)
    rows = _rows(source.data, source.part)
    heads = [row for row in rows if row["id"].startswith("hn")]
    others = [row for row in rows if not row["id"].startswith("hn")]
    use = heads if heads and (not others or rng.random() < part.heads) else others
    row = use[rng.integers(len(use))]
    patient = _real(source.data / "vol" / f"{row['id']}.nii.gz", use is heads)
    own = use is others and part.show == "all" and rng.random() < OWN and row["id"] not in NOT_OWN
    return compose.scene(patient, rng, own, part.show)


def read(path: Path) -> compose.Scene:
    """A scene from its file."""
    with np.load(path, allow_pickle=False) as archive:
        return compose.Scene(archive["hu"], archive["shares"], str(archive["kind"]))


CROP = 128
"""Cells along each side of what the network is trained on: most of a scene's window is air."""
FROM_ONE = 4
"""Slices of a batch that are of one scene."""


def batches(paths: list[Path], size: int, seed: int, first: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Endless batches of slices: pictures (n, 128, 128, 5) in HU / 1000, and shares (n, 128, 128, 5).

    Args:
        paths: of scenes.
        size: slices in a batch, a multiple of ``FROM_ONE``.
        seed: decides which.
        first: number of the first batch; the same number always gives the same batch.
    """
    number = first
    while True:
        rng = np.random.default_rng([seed, number])
        pictures, shares = [], []
        for path in rng.choice(len(paths), size // FROM_ONE, replace=False):
            one = read(paths[path])
            top, left = rng.integers(0, SIZE - CROP + 1, 2)
            cut = (slice(None), slice(top, top + CROP), slice(left, left + CROP))
            one = compose.Scene(one.hu[cut], one.shares[cut], one.kind)
            middles = rng.choice(len(one.hu), FROM_ONE, replace=False)
            hu = one.hu.astype(np.float32) * rng.uniform(0.97, 1.03) + rng.normal(0, 8)
            picture = hu[neighbours(middles, len(hu))].transpose(1, 2, 3, 0) / 1000
            if rng.random() < 0.5:
                picture = picture[..., ::-1]
            share = one.shares[middles].astype(np.float32) / 255
            if rng.random() < 0.5:
                picture, share = picture[:, :, ::-1], share[:, :, ::-1]
            pictures.append(picture)
            shares.append(share)
        yield np.concatenate(pictures).astype(np.float32), np.concatenate(shares)
        number += 1


def _keep(source: Source, number: int, path: Path) -> None:
    made = compose_one(source, number)
    write_atomic(path, npz_bytes({"hu": made.hu, "shares": made.shares, "kind": np.array(made.kind)}, level=1))


@lru_cache
def _rows(data: Path, part: str) -> list[dict[str, str]]:
    return [row for row in compose_patients.training_scans(data) if validates(row["patient"]) == (part == "validation")]


@lru_cache(maxsize=64)
def _real(path: Path, masked: bool) -> compose_patients.Patient:
    return compose_patients.real(path, masked)


@lru_cache(maxsize=16)
def _phantom(seed: int, head_only: bool) -> compose_patients.Patient:
    return compose_patients.made_up(seed, head_only)
