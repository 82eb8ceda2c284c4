"""Many scans at once: in this process, on several processes, or on a Dask cluster; resumable, one result each.

The result of an item is a folder ``out/<name>``. It is made under ``out/.unfinished`` and renamed when it is whole, so
a folder that is there is finished. Beside the results of the work it holds ``batch.json`` with the fingerprint of what
it was made from; an item whose folder has the same fingerprint is not made again. While an item is being made its
lock is held (``locks``), so two runs never make the same item at the same time, and leftovers of a killed run are
known as such.

A bad item costs only itself: errors, also a process that dies, become an ``Outcome`` with a reason.
"""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import json
import logging
import os
import shutil
import time
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

from .errors import CTError
from .files import write_atomic
from .locks import LockTakenError, locked
from .names import is_safe_name
from .workers import cores, on_cluster, on_processes

logger = logging.getLogger(__name__)

DONE, KEPT, FAILED = "done", "kept", "failed"
STATE_FILE = "batch.json"
SUMMARY_FILE = "summary.csv"
UNFINISHED = ".unfinished"

_SCHEMA = "ct-batch/1"
_WAIT_FOR_OTHERS_S = 3600.0
_WAIT_FOR_RESULT_S = 10.0
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG)


@dataclass(frozen=True)
class Item:
    """One piece of work. Everything in it can be pickled.

    Attributes:
        name: name of the result folder; ``names.unique_names`` makes good ones.
        source: the file or folder that the result is made from.
        files: the files that the result depends on where that is not all of ``source``.
        settings: what else the result depends on, such as options and the sha256 of the model; plain JSON values.
        payload: anything that the work needs; not part of the fingerprint.
    """

    name: str
    source: str | Path
    files: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    payload: Any = None


@dataclass(frozen=True)
class Outcome:
    """What became of an item.

    Attributes:
        name: of the item.
        source: of the item.
        state: ``"done"``, ``"kept"`` (was made by an earlier run) or ``"failed"``.
        code: short stable name of the problem, or an empty string.
        message: what happened, for people.
        hint: what to do about it.
        facts: what the work returned, such as numbers for the summary table.
        seconds: how long the work took.
        details: traceback of an unexpected error; may hold anything, so it goes to the debug log only.
    """

    name: str
    source: str
    state: str
    code: str = ""
    message: str = ""
    hint: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    details: str = ""


_Task = tuple[Item, str]
_Make = Callable[[_Task], Outcome]

Work = Callable[[Item, Path], Mapping[str, Any] | None]
"""Makes the result of an item: writes files into the (empty) folder that it is given, returns facts (JSON values)."""


def run(
    items: Sequence[Item],
    work: Work,
    out: Path | str,
    *,
    jobs: int = 1,
    scheduler: str | None = None,
    repeatable: bool = False,
    progress: Callable[[int, int, str], bool] | None = None,
) -> list[Outcome]:
    """Make the results of all items that are not there yet, and write ``out/summary.csv``.

    Args:
        items: what to make; names differ also on disks that ignore case.
        work: a function of an importable module (or anything else that can be pickled, with ``jobs`` > 1).
        out: folder of the results; made where it is missing.
        jobs: processes on this machine; 1 works in this process, 0 or less takes one for each core.
        scheduler: address of a Dask scheduler, such as ``"tcp://host:8786"``; its workers see the same disks.
        repeatable: leave nothing in ``out`` that depends on the run (no times, no summary.csv): the same items give
            the same bytes, however often the work was interrupted.
        progress: called after each item; returns False to cancel.

    Returns:
        One outcome for each item, in the order of the items.

    Raises:
        CTError: ``out`` can't be written; cancelled; the cluster can't be reached or its package is missing.
        ValueError: names that are not unique or not safe as a folder name.
    """
    _check_names(items)
    out = Path(out).absolute()
    _prepare(out)
    try:
        with locked(out / UNFINISHED / f"{uuid.uuid4().hex}.lock"):  # keeps the folder while we are at work
            outcomes = _run(items, partial(_make, work, out, repeatable), out, jobs, scheduler, progress)
    except OSError as error:
        raise _cannot_write(out, error) from error
    with suppress(OSError):  # not empty while another run is at work
        (out / UNFINISHED).rmdir()
    ordered = [outcomes[item.name] for item in items]
    if repeatable:
        return ordered
    try:
        write_atomic(out / SUMMARY_FILE, summary_csv(ordered))
    except CTError as error:  # the results count more than their table
        logger.warning("%s", error)
    return ordered


def fingerprint_of(item: Item) -> str:
    """Hash of what a result is made from: path, size and time of change of the files, and the settings."""
    paths = [Path(name) for name in item.files] if item.files else _files_of(Path(item.source))
    facts: list[Any] = [str(Path(item.source).resolve()), dict(item.settings)]
    for path in sorted(paths):
        try:
            state = path.stat()
            facts.append((str(path), state.st_size, state.st_mtime_ns))
        except OSError:
            facts.append((str(path), None, None))
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode("utf-8", "surrogatepass")).hexdigest()


def summarize(outcomes: Sequence[Outcome]) -> str:
    """A table for people: one line for each item and a line with the counts."""
    columns = _fact_columns(outcomes)
    rows = [["name", "state", *columns, "reason"]]
    for outcome in outcomes:
        reason = f"{outcome.message} {outcome.hint}".strip()
        rows.append([outcome.name, outcome.state, *(_cell(outcome.facts.get(key)) for key in columns), reason])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    count = {state: sum(outcome.state == state for outcome in outcomes) for state in (DONE, KEPT, FAILED)}
    lines.append(f"{count[DONE]} done, {count[KEPT]} kept from an earlier run, {count[FAILED]} failed.")
    return "\n".join(lines)


def summary_csv(outcomes: Sequence[Outcome]) -> str:
    """The same table for programs, as CSV with a header."""
    columns = _fact_columns(outcomes)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", "source", "state", "code", "message", "hint", "seconds", *columns])
    for outcome in outcomes:
        head = [outcome.name, outcome.source, outcome.state, outcome.code, outcome.message, outcome.hint]
        writer.writerow([*head, f"{outcome.seconds:.3f}", *(_cell(outcome.facts.get(key)) for key in columns)])
    return text.getvalue().encode("utf-8", "replace").decode("utf-8")


# All items


def _run(
    items: Sequence[Item],
    make: _Make,
    out: Path,
    jobs: int,
    scheduler: str | None,
    progress: Callable[[int, int, str], bool] | None,
) -> dict[str, Outcome]:
    """The outcomes by name, of what is there already and of what has to be made."""
    outcomes: dict[str, Outcome] = {}
    # What a run was at when it died comes last: an item that brings the program down doesn't hold up the others.
    killed = _remove_leftovers(out)
    tasks = _tasks(sorted(items, key=lambda item: item.name in killed), out, outcomes)
    with closing(_checked(_outcomes(tasks, make, jobs, scheduler), out)) as results:
        for outcome in results:
            outcomes[outcome.name] = outcome
            if outcome.details:  # here, since the log of another process goes nowhere
                logger.debug("%s: %s", outcome.name, outcome.details)
            _report(progress, len(outcomes), len(items), outcome)
    _remove_leftovers(out)
    return outcomes


def _tasks(items: Sequence[Item], out: Path, outcomes: dict[str, Outcome]) -> Iterator[_Task]:
    """What has to be made; what is there already goes to the outcomes.

    Looking at the files of each item takes a while, so it is done while processes start or are at work.
    """
    for item in items:
        fingerprint = fingerprint_of(item)
        kept = _kept(item, fingerprint, out / item.name)
        if kept is not None:
            outcomes[item.name] = kept
        else:
            yield item, fingerprint


def _outcomes(tasks: Iterator[_Task], make: _Make, jobs: int, scheduler: str | None) -> Iterator[Outcome]:
    """The outcomes as they come, from wherever the work is done."""
    if scheduler:
        every = list(tasks)
        results = on_cluster(make, every, scheduler) if every else iter(())
    else:
        jobs = jobs if jobs > 0 else cores()
        first = list(islice(tasks, jobs)) if jobs > 1 else list(tasks)
        jobs = min(jobs, len(first))  # no more processes than there is work
        results = on_processes(make, chain(first, tasks), jobs) if jobs > 1 else ((task, make(task)) for task in first)
    for (item, _), result in results:
        if isinstance(result, CTError):
            result = _failed(item, result.code, result.message, result.hint)
        yield result


def _checked(outcomes: Iterator[Outcome], out: Path) -> Iterator[Outcome]:
    """The outcomes, of those done only the ones whose result is really here."""
    for outcome in outcomes:
        end = time.monotonic() + _WAIT_FOR_RESULT_S  # a network disk may show it a little later
        while outcome.state == DONE and not (out / outcome.name / STATE_FILE).exists():
            if time.monotonic() > end:
                message = f"The result of {outcome.name} was made, but it is not in {out.name} on this machine."
                hint = "All machines of the cluster must see the same folder under the same path."
                outcome = replace(outcome, state=FAILED, code="no_shared_folder", message=message, hint=hint)
                break
            time.sleep(0.2)
        yield outcome


# One item


def _make(work: Work, out: Path, repeatable: bool, task: _Task) -> Outcome:
    """Make one item's result, in whatever process this is; every error becomes an outcome."""
    item, fingerprint = task
    try:
        return _make_locked(work, out, repeatable, item, fingerprint)
    except CTError as error:
        if error.code == "cancelled":
            raise
        outcome = _failed(item, error.code, error.message, error.hint)
    except LockTakenError:
        outcome = _failed(item, "busy", f"Another run has been working on {item.name} for long.", "Start again later.")
    except MemoryError:
        outcome = _failed(item, "out_of_memory", f"The memory is not enough for {item.name}.", "Use fewer jobs.")
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
            reason = os.strerror(error.errno)
            hint = "Free some space, or choose another folder."
            outcome = _failed(item, "cannot_write", f"Reading or writing files of {item.name} failed: {reason}.", hint)
        else:  # the text of the error may hold anything, also a patient's name
            message = f"An unexpected problem ({type(error).__name__}) ended the work on {item.name}."
            outcome = _failed(item, "internal", message, "Please report it; the log with --verbose has the details.")
        outcome = replace(outcome, details=traceback.format_exc())
    if (out / item.name).exists() and outcome.code != "in_the_way":
        outcome = replace(outcome, hint=f"{outcome.hint} An older result is still in {item.name}.".strip())
    return outcome


def _make_locked(work: Work, out: Path, repeatable: bool, item: Item, fingerprint: str) -> Outcome:
    """Make one item's result while nobody else does."""
    unfinished, target = out / UNFINISHED, out / item.name
    if not unfinished.is_dir():
        raise CTError(
            "no_shared_folder",
            f"The folder {out.name} for the results is not there on the machine that should make {item.name}.",
            "All machines of the cluster must see the same folder under the same path.",
        )
    with locked(unfinished / f"{item.name}.lock", wait_s=_WAIT_FOR_OTHERS_S) as alone:
        kept = _kept(item, fingerprint, target)
        if kept is not None:  # made since this run began, by a process that died afterwards or by another run
            return replace(kept, state=DONE)
        if target.exists() and not (target / STATE_FILE).exists():
            raise CTError(
                "in_the_way",
                f"{target.name} exists in {out.name} and was not made by this program.",
                "Choose another folder for the results.",
            )
        if alone:
            shutil.rmtree(unfinished / item.name, ignore_errors=True)
        temporary = unfinished / item.name / uuid.uuid4().hex[:8]
        try:
            temporary.mkdir(parents=True)
            start = time.perf_counter()
            facts = dict(work(item, temporary) or {})
            seconds = time.perf_counter() - start
            kept_seconds = 0.0 if repeatable else round(seconds, 3)
            state = {"schema": _SCHEMA, "fingerprint": fingerprint, "seconds": kept_seconds, "facts": facts}
            write_atomic(temporary / STATE_FILE, json.dumps(state, indent=1))
            _rename_into_place(temporary, target)
        finally:
            shutil.rmtree(temporary.parent if alone else temporary, ignore_errors=True)
    return Outcome(item.name, str(item.source), DONE, facts=facts, seconds=seconds)


def _rename_into_place(temporary: Path, target: Path) -> None:
    """Put a finished folder where its result belongs; an older one goes only when the new one is there."""
    if not target.exists():
        temporary.replace(target)
        return
    older = temporary.with_name(f"{temporary.name}.older")
    target.replace(older)
    try:
        temporary.replace(target)
    except OSError:
        older.replace(target)
        raise
    shutil.rmtree(older, ignore_errors=True)


def _kept(item: Item, fingerprint: str, target: Path) -> Outcome | None:
    """The outcome of an earlier run where its result is still up to date."""
    try:
        state = json.loads((target / STATE_FILE).read_text(encoding="utf-8"))
        if state["fingerprint"] != fingerprint:
            return None
        return Outcome(item.name, str(item.source), KEPT, facts=state["facts"], seconds=float(state["seconds"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _failed(item: Item, code: str, message: str, hint: str = "") -> Outcome:
    return Outcome(item.name, str(item.source), FAILED, code, message, hint)


# Small things


def _check_names(items: Sequence[Item]) -> None:
    names = [item.name.casefold() for item in items]
    if len(set(names)) != len(names):
        raise ValueError("Two items have the same name.")
    for item in items:
        if not is_safe_name(item.name) or item.name.casefold() == SUMMARY_FILE:
            raise ValueError(f"{item.name!r} can't be the name of a result folder.")


def _prepare(out: Path) -> None:
    """Make the folders, and find out now rather than after the first scan whether they can be written."""
    try:
        (out / UNFINISHED).mkdir(parents=True, exist_ok=True)
        probe = out / UNFINISHED / f"{uuid.uuid4().hex}.probe"
        probe.write_bytes(b"\0" * 4096)
        probe.unlink()
    except OSError as error:
        raise _cannot_write(out, error) from error


def _cannot_write(out: Path, error: OSError) -> CTError:
    message = f"The results can't be written to {out}: {error.strerror or error}."
    return CTError("cannot_write", message, "Free some space or choose another folder.")


def _remove_leftovers(out: Path) -> set[str]:
    """Remove what killed runs left behind: that whose lock nobody holds. Returns the names of those items."""
    unfinished, killed = out / UNFINISHED, set()
    for lock in unfinished.glob("*.lock"):
        try:
            with locked(lock) as alone:
                if alone:
                    shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
                    killed.add(lock.stem)
        except (LockTakenError, OSError):
            continue
    return killed


def _report(progress: Callable[[int, int, str], bool] | None, done: int, total: int, outcome: Outcome) -> None:
    if progress is not None and progress(done, total, f"{outcome.name}: {outcome.state}") is False:
        raise CTError("cancelled", "The batch was cancelled.", "Start again to go on: what is finished is kept.")


def _files_of(source: Path) -> list[Path]:
    if not source.is_dir():
        return [source]
    return [Path(folder) / name for folder, _, names in os.walk(source) for name in names]


def _fact_columns(outcomes: Sequence[Outcome]) -> list[str]:
    return list(dict.fromkeys(key for outcome in outcomes for key in outcome.facts))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
