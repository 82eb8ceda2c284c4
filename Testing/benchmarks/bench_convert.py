"""Speed and memory of converting slices to training data, side by side with the article's loop.

Run it alone with ``python Testing/benchmarks/bench_convert.py [slices [pixels]]``; 10 000 slices of 512 pixels need
13 GB of disk.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np
from CTSliceLocalizerLib import convert, truths

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

Row = tuple[str, float, float, float, str]
Measure = tuple[float, float, float]

TURNS = 3
SERIES_SLICES = 100
STEP_MM = 3.0
SPEED_BAR = ">= 3: the article's loop takes three times as long"
MEMORY_BAR = "<= 1.1: memory does not grow with the number of slices"


def run(slices: int = 1000, pixels: int = 512) -> list[Row]:
    """Convert the same tree with the article's loop and with ``convert``, reading and writing included.

    They take turns, so that what slows the machine down for a while slows all of them down.

    Args:
        slices: of the tree, 100 in a series.
        pixels: rows and columns of a slice.

    By default the command takes all cores: there is the bar.

    Returns:
        Rows of name, our seconds (or MB), theirs, theirs / ours (memory: all slices / a tenth of them), and the bar;
        seconds are medians, ratios medians of those of each turn.
    """
    rows: list[Row] = []
    size = f"{slices} slices of {pixels} x {pixels}"
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        tree = place / "tree"
        truth = make_tree(tree, slices, pixels)
        tenth = dict(list(truth.items())[: max(SERIES_SLICES, slices // 10)])
        ways = [("article", 1), ("article", 0), ("compact", 1), ("compact", 0)]
        theirs, ours = [], {way: [] for way in ways}
        for turn in range(TURNS):
            theirs.append(_measured(article_loop, tree, truth, place / f"theirs{turn}"))
            for kind, jobs in ways:
                out = place / f"{kind}{jobs}-{turn}"
                ours[kind, jobs].append(_measured(_convert, tree, truth, out, kind, jobs))
        for kind, jobs in ways:
            name = f"{size}, {kind}, {'one process' if jobs else 'all cores'}"
            bar = SPEED_BAR if jobs == 0 else ""
            rows.append(_row(name, 0, ours[kind, jobs], theirs, bar))
            rows.append(_row(f"{name}, seconds of a core", 1, ours[kind, jobs], theirs, ""))
        for kind in ("article", "compact"):
            memory = median(one[2] for one in ours[kind, 1])
            _, _, less = _measured(_convert, tree, tenth, place / f"{kind}-tenth", kind, 1)
            rows.append((f"{size}, {kind}, MB (theirs: for {len(tenth)})", memory, less, memory / less, MEMORY_BAR))
    return rows


def article_loop(tree: Path, truth: dict[str, float], out: Path) -> None:
    """The article's way: read a slice, shrink its stored values to 8 bits as ``scipy.misc.imresize`` did, save it."""
    from PIL import Image
    from pydicom import dcmread

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
    from pydicom import dcmread
    from pydicom.uid import generate_uid

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


def _row(name: str, figure: int, ours: Sequence[Measure], theirs: Sequence[Measure], bar: str) -> Row:
    """A row of one of the figures of a measure."""
    mine, other = [one[figure] for one in ours], [one[figure] for one in theirs]
    return name, median(mine), median(other), median(b / a for a, b in zip(mine, other)), bar


def _measured(job: Callable[..., None], tree: Path, truth: dict[str, float], out: Path, *args: object) -> Measure:
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
    import PIL.Image  # noqa: F401 - only the work itself is timed, for them as for us
    import pydicom  # noqa: F401

    start, worked = time.perf_counter(), sum(os.times()[:4])
    job(*args)
    seconds, work = time.perf_counter() - start, sum(os.times()[:4]) - worked
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (peak,) = (int(line.split()[1]) for line in lines if line.startswith("VmHWM"))  # unlike ru_maxrss its own alone
    queue.put((seconds, work, peak / 1024))


if __name__ == "__main__":
    for name, ours, theirs, ratio, bar in run(*(int(value) for value in sys.argv[1:])):
        print(f"{name:70} ours {ours:7.1f}  theirs {theirs:7.1f}  ratio {ratio:5.2f}  {bar}")
