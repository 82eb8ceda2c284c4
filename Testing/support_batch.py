"""Work for tests of batches: importable by worker processes, cheap, and it leaves a trace of every call."""

from __future__ import annotations

import csv
import os
import signal
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from CTVolumeLib import batch
from CTVolumeLib.errors import CTError


def make_items(folder: Path, count: int, broken: int = 0, settings: dict | None = None) -> list[batch.Item]:
    """Items with small source files, ``broken`` of them spread among the others; the traces go to folder/trace."""
    (folder / "trace").mkdir(parents=True, exist_ok=True)
    every = count // broken if broken else count + 1
    items = []
    for number in range(count):
        source = folder / f"scan{number:03d}.nii"
        bad = broken and number % every == every // 2
        if not source.exists():
            source.write_text("broken" if bad else f"good {number}")
        items.append(batch.Item(source.stem, source, settings=settings or {"model": "abc"}))
    return items


def work(item: batch.Item, folder: Path) -> dict:
    """Write two files; a broken source is an error. Every call leaves a file in ``trace``."""
    source = Path(item.source)
    _trace(source.parent / "trace", item.name)
    text = source.read_text()
    if text == "broken":
        raise CTError("no_images", f"{source.name} holds no images.", "Choose another file.")
    (folder / "first.txt").write_text(text)
    time.sleep(float(item.settings.get("seconds", 0)))
    (folder / "second.txt").write_text(text.upper())
    return {"length": len(text), "mean": 0.123456789}


def work_that_kills(item: batch.Item, folder: Path) -> dict:
    """Like ``work``, but a broken source ends the whole process, as a crash or lack of memory does."""
    if Path(item.source).read_text() == "broken":
        _trace(Path(item.source).parent / "trace", item.name)
        os.kill(os.getpid(), signal.SIGKILL)
    return work(item, folder)


def work_that_raises(item: batch.Item, folder: Path) -> dict:
    raise KeyError("DOE^JANE 19700101")


def work_that_tells_its_threads(_item: batch.Item, _folder: Path) -> dict:
    return {"threads": int(os.environ["OMP_NUM_THREADS"])}


def wait_for(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until something is so, such as what a process that was started does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


def calls(folder: Path) -> dict[str, int]:
    """How often the work was called for each item."""
    names = [path.name.rsplit("-", 1)[0] for path in (folder / "trace").iterdir()]
    return {name: names.count(name) for name in set(names)}


def _trace(folder: Path, name: str) -> None:
    (folder / f"{name}-{uuid.uuid4().hex}").touch()


def main() -> int:
    """A batch as a program that can be killed: FOLDER OUT COUNT BROKEN SECONDS JOBS [SCHEDULER]."""
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    count, broken, seconds, jobs = int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]), int(sys.argv[6])
    items = make_items(folder, count, broken, {"model": "abc", "seconds": seconds})
    outcomes = batch.run(items, work, out, jobs=jobs, scheduler=sys.argv[7] if len(sys.argv) > 7 else None)
    print(batch.summarize(outcomes))
    return int(any(outcome.state == batch.FAILED for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())


def rows_of(path: Path) -> list[dict[str, str]]:
    """The lines of a table, such as summary.csv."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
