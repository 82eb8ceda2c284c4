"""Calls on several processes of this machine or on a Dask cluster, where a process that dies costs only its call."""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from itertools import islice
from typing import Any, TypeVar

from .errors import CTError

logger = logging.getLogger(__name__)

_WAIT_FOR_WORKERS_S = 60.0
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)

Task = TypeVar("Task")
Result = TypeVar("Result")


def cores() -> int:
    """Number of cores that this process may use."""
    try:
        from joblib import cpu_count  # goes by the limits of containers and clusters, too
    except ImportError:
        return os.cpu_count() or 1
    return cpu_count()


def on_processes(
    call: Callable[[Task], Result], tasks: Iterable[Task], jobs: int
) -> Iterator[tuple[Task, Result | CTError]]:
    """Each task with its result, as they come, from loky processes that share the cores between them.

    When a process dies, the pool can't say which task it was at, so all that were being worked on are done again, one
    by one, each in a process of its own: whatever dies there is to blame.

    Args:
        call: what to call with each task.
        tasks: arguments that can be pickled; they are asked for while the processes start or are at work.
        jobs: number of processes.

    Yields:
        The task, and what the call returned or, where its process died twice, an error.

    Raises:
        CTError: joblib is not installed.
        Exception: what the call raises.
    """
    try:
        from joblib.externals.loky import ProcessPoolExecutor, wait
        from joblib.externals.loky.process_executor import BrokenProcessPool
    except ImportError as error:
        raise CTError("missing_package", "Several jobs need the Python package joblib.", "Use one job.") from error
    limits = dict.fromkeys(_THREAD_VARIABLES, str(max(1, cores() // jobs)))
    tasks = iter(tasks)
    waiting, suspects = deque(islice(tasks, jobs)), deque()
    while waiting or suspects:
        alone = bool(suspects)
        queue, size = (suspects, 1) if alone else (waiting, jobs)
        pool = ProcessPoolExecutor(max_workers=size, env=limits, initializer=_end_with, initargs=(os.getpid(),))
        running: dict[Any, Task] = {}
        broken = False
        try:
            while running or (queue and not broken):
                while queue and len(running) < size and not broken:
                    try:
                        running[pool.submit(call, queue[0])] = queue[0]
                        queue.popleft()
                    except BrokenProcessPool:
                        broken = True
                waiting.extend(islice(tasks, max(0, jobs - len(waiting))))
                for future in wait(running, return_when="FIRST_COMPLETED").done if running else ():
                    task = running.pop(future)
                    try:
                        result = future.result()
                    except BrokenProcessPool:
                        broken = True
                        if not alone:
                            suspects.append(task)
                            continue
                        result = _died()
                    yield task, result
        finally:
            pool.shutdown(wait=True, kill_workers=True)


def _end_with(parent: int) -> None:
    """Let this process end soon after its parent: loky's would stay for ever when the parent is killed."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    if os.name == "posix":  # elsewhere the parent's number stays the same when it is gone
        threading.Thread(target=watch, daemon=True).start()


def on_cluster(
    call: Callable[[Task], Result], tasks: Sequence[Task], scheduler: str
) -> Iterator[tuple[Task, Result | CTError]]:
    """Each task with its result, as they come, from the workers of a Dask cluster.

    The scheduler itself repeats what a dead worker was at (``distributed.scheduler.allowed-failures`` times).

    Args:
        call: what to call with each task.
        tasks: arguments that can be pickled.
        scheduler: its address, such as ``"tcp://host:8786"``.

    Yields:
        The task, and what the call returned or an error where the cluster failed.

    Raises:
        CTError: dask is not installed, the cluster can't be reached, or it has had no workers for a minute.
    """
    try:
        from distributed import Client
    except ImportError as error:
        hint = "Install it with: pip install 'dask[distributed]', or use --jobs instead."
        raise CTError("missing_package", "A cluster needs the Python package dask[distributed].", hint) from error
    try:
        client = Client(scheduler, timeout="15s", set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        hint = "Check the address and that the scheduler is running, or use --jobs instead."
        raise CTError("no_cluster", f"The Dask scheduler at {scheduler} can't be reached.", hint) from error
    with client:
        suspects = []
        for task, result in _cluster_results(client, call, tasks):
            if isinstance(result, _KilledError):
                suspects.append(task)
            else:
                yield task, result
        for suspect in suspects:  # what shared a worker with the one to blame is as suspect, so now each by itself
            for task, result in _cluster_results(client, call, [suspect]):
                yield task, _died() if isinstance(result, _KilledError) else result


class _KilledError(Exception):
    """A task whose workers died time and again."""


def _cluster_results(client: Any, call: Callable, tasks: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Each task with its result, a ``CTError`` where the cluster failed, or ``_KilledError``."""
    # Keys of our own: what the cluster remembers from an earlier run must not count as done.
    run = uuid.uuid4().hex[:8]
    left = {client.submit(call, task, key=f"ct-{run}-{n}", pure=False): task for n, task in enumerate(tasks)}
    alive = checked = time.monotonic()
    try:
        while left:
            # Not by as_completed: a result that is lost with its worker goes back to work and is completed twice.
            settled = [(future, future.status) for future in left]
            settled = [(future, status) for future, status in settled if status not in ("pending", "lost")]
            for future, status in settled:
                yield left.pop(future), _settled_result(future, status)
            now = time.monotonic()
            if settled:
                alive = now
                continue
            if now - checked > 1:
                checked = now
                alive = now if client.ncores() else alive
            if now - alive > _WAIT_FOR_WORKERS_S:
                hint = "Start workers (dask worker ADDRESS), then start again: what is finished is kept."
                raise CTError("no_workers", "The Dask cluster has no workers.", hint)
            time.sleep(0.02)
    finally:
        client.cancel(list(left))


def _settled_result(future: Any, status: str) -> Any:
    """What a Dask future holds that is finished, failed or cancelled."""
    from distributed.scheduler import KilledWorker

    if status == "finished":
        with suppress(CancelledError, OSError):  # also TimeoutError
            return future.result(timeout=_WAIT_FOR_WORKERS_S)
    if status != "error":
        hint = "Start again: what is finished is kept."
        return CTError("cluster_lost", "The connection to the cluster was lost before it was made.", hint)
    error = future.exception()
    if isinstance(error, KilledWorker):
        return _KilledError()
    logger.debug("A worker of the cluster failed outside the work", exc_info=error)
    hint = "Install the same version of this program on all workers."
    return CTError("worker_failed", f"A worker of the cluster could not start on it ({type(error).__name__}).", hint)


def _died() -> CTError:
    return CTError(
        "worker_died",
        "The process that worked on it died, and again when it was repeated, perhaps for lack of memory.",
        "Try it alone, with one job.",
    )
