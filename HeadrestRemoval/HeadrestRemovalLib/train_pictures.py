"""Pictures of what the network says about the same ten slices after each epoch, and how that improves, as a GIF."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from CTVolumeLib.files import replacing, write_atomic

from .compose import Scene
from .labels import HEADREST, OTHER, PATIENT, SEGMENTS, TABLE
from .netgrid import DEPTH, stacks

SLICES = 10
FOLDER, ANIMATION = "pictures", "training.gif"
_WINDOW_HU = (-1000.0, 300.0)
_STRIP = 16


def choose(scenes: list[Scene]) -> tuple[np.ndarray, np.ndarray]:
    """Ten slices, each the one of its scene with the most equipment beside the patient.

    Args:
        scenes: at least ten; of those that hold equipment the first are taken.

    Returns:
        Pictures (10, 160, 160, 5) in HU / 1000 and the true shares (10, 160, 160, 5).
    """
    with_equipment = [scene for scene in scenes if scene.shares[..., HEADREST:].any()]
    pictures, shares = [], []
    for scene in (with_equipment + scenes)[:SLICES]:
        amount = scene.shares[..., HEADREST].sum(axis=(1, 2), dtype=float)
        best = int(np.argmax(amount)) if amount.any() else len(scene.hu) // 2
        pictures.append(stacks(scene.hu)[best])
        shares.append(scene.shares[best].astype(np.float32) / 255)
    return np.stack(pictures), np.stack(shares)


def write(work: Path, epoch: int, pictures: np.ndarray, truth: np.ndarray, predicted: np.ndarray) -> None:
    """Keep the picture of an epoch and bring the animation up to date.

    Args:
        work: folder of the run.
        epoch: from 1.
        pictures: as from ``choose``.
        truth: as from ``choose``.
        predicted: (10, 160, 160, 5) shares.
    """
    rows = [_grey(pictures), _painted(pictures, truth), _painted(pictures, predicted)]
    sheet = np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0)
    write_atomic(work / FOLDER / f"epoch_{epoch:03d}.png", _png(sheet, f"Epoch {epoch}: scan, truth, network"))
    animate(work)


def animate(work: Path) -> None:
    """Put the pictures of all epochs one after the other into ``training.gif``; the last one stays for a while."""
    _film(sorted((work / FOLDER).glob("epoch_*.png")), work / ANIMATION)


def animate_stages(work: Path, stages: Iterable[str], every: int = 4) -> None:
    """The same for a training in stages, in the folder above theirs: each so many epochs, and the last one.

    Args:
        work: folder of the stages' folders.
        stages: their names, in order.
        every: how many epochs one picture stands for.
    """
    paths = [path for stage in stages for path in sorted((work / stage / FOLDER).glob("epoch_*.png"))]
    _film(paths[every - 1 :: every] if len(paths) % every == 0 else [*paths[::every], paths[-1]], work / ANIMATION)


def _film(paths: list[Path], target: Path, width: int = 1200) -> None:
    from PIL import Image

    frames = []
    for path in paths:
        with Image.open(path) as picture:
            small = picture.convert("RGB").resize((width, round(picture.height * width / picture.width)))
            frames.append(small.quantize(64))
    if frames:
        with replacing(target) as temporary:
            frames[0].save(
                temporary, save_all=True, append_images=frames[1:], loop=0, duration=[400] * (len(frames) - 1) + [3000]
            )


def _grey(pictures: np.ndarray) -> np.ndarray:
    """(n, h, w, 3) uint8 of the middle slice."""
    low, high = _WINDOW_HU
    grey = np.clip((pictures[..., DEPTH // 2] * 1000 - low) / (high - low), 0, 1)
    return np.repeat((grey * 255).astype(np.uint8)[..., None], 3, axis=-1)


def _painted(pictures: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The same with the equipment in its colours, and the patient's edge in white."""
    colours = {segment.value: np.array(segment.color) * 255 for segment in SEGMENTS}
    result = _grey(pictures).astype(np.float32)
    largest = shares.argmax(axis=-1)
    for value in (HEADREST, TABLE, OTHER):
        here = largest == value
        result[here] = 0.4 * result[here] + 0.6 * colours[value]
    patient = largest == PATIENT
    inner = patient.copy()
    for axis in (1, 2):
        for step in (-1, 1):
            inner &= np.roll(patient, step, axis)
    result[patient & ~inner] = (120, 255, 120)
    return result.astype(np.uint8)


def _png(sheet: np.ndarray, text: str) -> bytes:
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (sheet.shape[1], sheet.shape[0] + _STRIP))
    picture.paste(Image.fromarray(sheet), (0, _STRIP))
    ImageDraw.Draw(picture).text((4, 2), text, fill=(255, 255, 255))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
