"""Speed and memory of converting slices to training data, side by side with the article's loop.

Run it alone with ``python Testing/benchmarks/bench_convert.py [slices [pixels]]``; 10 000 slices of 512 pixels need
8 GB of disk.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from CTSliceLocalizerLib import convert, truths
from PIL import Image
from pydicom import dcmread
from pydicom.uid import generate_uid

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

Row = tuple[str, float, float, float, str]

SERIES_SLICES = 100
STEP_MM = 3.0
SPEED_BAR = ">= 3: the article's loop takes three times as long"
MEMORY_BAR = "<= 1.1: memory does not grow with the number of slices"


def run(slices: int = 1000, pixels: int = 512) -> list[Row]:
    """Convert the same tree with the article's loop and with ``convert``, each once, reading and writing included.

    Args:
        slices: of the tree, 100 in a series.
        pixels: rows and columns of a slice.

    By default the command takes one process for the article's format, all cores for the compact one: there is the bar.

    Returns:
        Rows of name, our seconds (or MB), theirs, theirs / ours (memory: all slices / a tenth of them), and the bar.
    """
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        truth = make_tree(place / "tree", slices, pixels)
        tenth = dict(list(truth.items())[: max(SERIES_SLICES, slices // 10)])
        theirs, their_work, _ = _measured(article_loop, place / "tree", truth, place / "theirs")
        size = f"{slices} slices of {pixels} x {pixels}"
        for kind in ("article", "compact"):
            name = f"{size}, {kind}"
            tree = place / "tree"
            seconds, work, memory = _measured(_convert, tree, truth, place / f"{kind}1", kind, 1)
            rows.append(
                (f"{name}, one process", seconds, theirs, theirs / seconds, SPEED_BAR if kind == "article" else "")
            )
            rows.append((f"{name}, seconds of a core", work, their_work, their_work / work, ""))
            seconds, work, _ = _measured(_convert, tree, truth, place / f"{kind}0", kind, 0)
            rows.append(
                (f"{name}, all cores", seconds, theirs, theirs / seconds, SPEED_BAR if kind == "compact" else "")
            )
            rows.append((f"{name}, all cores, seconds of a core", work, their_work, their_work / work, ""))
            _, _, less = _measured(_convert, tree, tenth, place / f"{kind}-tenth", kind, 1)
            rows.append((f"{name}, MB (theirs: for {len(tenth)})", memory, less, memory / less, MEMORY_BAR))
    return rows


def article_loop(tree: Path, truth: dict[str, float], out: Path) -> None:
    """The article's way: read a slice, shrink its stored values to 8 bits as ``scipy.misc.imresize`` did, save it."""
    out.mkdir()
    for number, (name, location) in enumerate(truth.items()):
        slice_ = dcmread(tree / name)
        pixels = Image.fromarray(_bytescale(slice_.pixel_array)).resize((convert.SIZE,) * 2, Image.Resampling.BILINEAR)
        np.savez(
            out / f"{number}.npz",
            pixels=np.array(pixels),
            norm_loc=location,
            series_instance_UID=slice_.SeriesInstanceUID,
        )


def make_tree(tree: Path, slices: int, pixels: int) -> dict[str, float]:
    """One series of a body with noise, and copies of it under other UIDs; returns the location of each slice."""
    from bench_reading import write_series  # not in every worker: it brings pytest along

    first = tree / "patient0" / "study"
    write_series(first / "first", SERIES_SLICES, None, pixels=pixels, step_mm=STEP_MM)
    files = sorted((first / "first").iterdir())
    uid = str(dcmread(files[0], stop_before_pixels=True).SeriesInstanceUID)
    heights = {path.name: float(dcmread(path, stop_before_pixels=True).ImagePositionPatient[2]) for path in files}
    top = max(heights.values())
    truth = {}
    for number in range(max(1, slices // SERIES_SLICES)):
        new = generate_uid(entropy_srcs=["bench", str(number)])
        folder = tree / f"patient{number % 7}" / f"study{number}" / new
        folder.mkdir(parents=True)
        for path in files:
            (folder / path.name).write_bytes(_with_uid(path.read_bytes(), uid, new))
            truth[f"{folder.relative_to(tree).as_posix()}/{path.name}"] = 0.3 + 0.0006 * (top - heights[path.name])
    shutil.rmtree(first)
    return truth


def _with_uid(data: bytes, old: str, new: str) -> bytes:
    """A file with another SeriesInstanceUID of explicit VR."""

    def element(uid: str) -> bytes:
        value = uid.encode() + b"\0" * (len(uid) % 2)
        return b"\x20\x00\x0e\x00UI" + len(value).to_bytes(2, "little") + value

    assert data.count(element(old)) == 1
    return data.replace(element(old), element(new))


def _convert(tree: Path, truth: dict[str, float], out: Path, kind: str, jobs: int) -> None:
    path = tree.parent / "locations.json"
    path.write_text(json.dumps(truth))
    outcomes = convert.convert(tree, out, truths.find(tree, path), kind=kind, jobs=jobs)
    assert all(outcome.state == "done" for outcome in outcomes), outcomes[0]


def _bytescale(values: np.ndarray) -> np.ndarray:
    low, high = values.min(), values.max()
    return ((values - low) * (255.0 / max(high - low, 1)) + 0.5).clip(0, 255).astype(np.uint8)


def _measured(
    job: Callable[..., None], tree: Path, truth: dict[str, float], out: Path, *args: object
) -> tuple[float, float, float]:
    """Seconds, seconds of a core (workers included) and peak MB of a job in a process of its own.

    What it has written stays until all is over: ext4 does not use the place of a deleted file for a minute, and looks
    through all such places for each new one, so that a job after a large deletion takes several times as long.
    """
    os.sync()  # else a job waits until what was written before it is on the disk
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_timed, args=(queue, job, tree, truth, out, *args))
    process.start()
    result = queue.get()
    process.join()
    return result


def _timed(queue: multiprocessing.Queue, job: Callable[..., None], *args: object) -> None:
    start, worked = time.perf_counter(), sum(os.times()[:4])
    job(*args)
    seconds, work = time.perf_counter() - start, sum(os.times()[:4]) - worked
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (peak,) = (int(line.split()[1]) for line in lines if line.startswith("VmHWM"))  # unlike ru_maxrss its own alone
    queue.put((seconds, work, peak / 1024))


if __name__ == "__main__":
    for name, ours, theirs, ratio, bar in run(*(int(value) for value in sys.argv[1:])):
        print(f"{name:70} ours {ours:7.1f}  theirs {theirs:7.1f}  ratio {ratio:5.2f}  {bar}")
