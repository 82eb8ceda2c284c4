"""What all commands share: exit codes, options, progress, messages, and the way errors end a command.

What a person reads goes to stderr, results to stdout and into files. Exit codes: 0 done, 1 some scans failed or were
refused (they are listed), 2 wrong call, 3 nothing usable. No error reaches the user as a traceback (but for --debug).
Only commands import this file: Slicer has no click.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .errors import CTError

if TYPE_CHECKING:
    from .batch import Outcome

DONE, SOME_FAILED, WRONG_CALL, NOTHING_USABLE, STOPPED = 0, 1, 2, 3, 130

PROGRESS_LINES = "CT_LOCALIZE_PROGRESS"
"""Environment variable that, if set to ``lines``, makes progress a line on stderr for the program that started this
one: ``progress <done> <total> <text>``."""

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
"""Settings of a command."""

_OWN_LOGS = ("CTVolumeLib", "CTSliceLocalizerLib", "LungSegmentLib", "HeadrestRemovalLib")


def run(
    command: click.Command, argv: Sequence[str] | None, program: str, wrong_calls: Collection[str] = ("wrong_call",)
) -> int:
    """Run a command; every error becomes a sentence and an exit code.

    Args:
        command: returns its exit code, or None.
        argv: its arguments; None takes those of the process.
        program: its name.
        wrong_calls: codes of the errors that are the caller's.

    Returns:
        The exit code.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    logging.getLogger().addHandler(logging.NullHandler())  # without any, warnings of other packages go to stderr
    try:
        with warnings.catch_warnings():
            if "--debug" not in arguments:
                warnings.simplefilter("ignore")
            return command.main(arguments, prog_name=program, standalone_mode=False) or DONE
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return WRONG_CALL
    except CTError as error:
        say(str(error))
        return WRONG_CALL if error.code in wrong_calls else NOTHING_USABLE
    except (KeyboardInterrupt, click.Abort):
        say("Stopped. What is finished is kept; start the same command again to go on.")
        return STOPPED
    except Exception as error:
        if "--debug" in arguments:
            raise
        # The text of an unexpected error may hold anything, also a patient's name.
        say(f"An unexpected problem ended the program ({type(error).__name__}). With --debug it tells where.")
        return NOTHING_USABLE


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """The exit code of a batch; a refused scan, with the reason under the fact ``refused``, counts as failed."""
    good = [outcome for outcome in outcomes if outcome.state != "failed"]
    if not good:
        return NOTHING_USABLE
    complete = len(good) == len(outcomes) and not any(outcome.facts.get("refused") for outcome in good)
    return DONE if complete else SOME_FAILED


def table(outcomes: Sequence[Outcome], columns: Sequence[str]) -> str:
    """What became of each scan, for people.

    Args:
        outcomes: of a batch.
        columns: the facts to show between name and seconds.
    """
    rows = [["scan", *columns, "seconds", "result"]]
    for outcome in outcomes:
        facts = outcome.facts
        reason = f"{outcome.message} {outcome.hint}".strip()
        result = reason or (f"refused: {facts['refused']}" if facts.get("refused") else outcome.state)
        seconds = f"{outcome.seconds:.1f}" if outcome.seconds else ""
        cells = ["" if facts.get(key) is None else str(facts[key]) for key in columns]
        rows.append([outcome.name, *cells, seconds, result])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def say(text: str) -> None:
    """Tell a person something, apart from the results."""
    click.echo(text, err=True)


class Bar:
    """A progress callback with a bar on stderr; quiet where that is no terminal and nobody asked for lines."""

    def __init__(self, text: str, unit: str) -> None:
        self._text, self._unit, self._bar = text, unit, None
        self._lines, self._said = os.environ.get(PROGRESS_LINES) == "lines", -1.0

    def __enter__(self) -> Bar:
        from tqdm import tqdm

        self._bar = tqdm(desc=self._text, unit=self._unit, disable=None, leave=False, file=sys.stderr)
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def __call__(self, done: int, total: int, _text: str) -> bool:
        """Show how far it is; never cancels."""
        if self._lines and (done >= total or done / max(total, 1) >= self._said + 0.005 or done == 0):
            self._said = done / max(total, 1)
            print(f"progress {done} {total} {self._text}", file=sys.stderr, flush=True)  # noqa: T201
        self._bar.total = total
        self._bar.update(done - self._bar.n)
        return True


def _verbose(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    """Show the program's own log; nobody else's, for it may quote a header, and so a patient's name."""
    if not wanted or context.meta.get("verbose"):
        return
    context.meta["verbose"] = True
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
    for name in _OWN_LOGS:
        logger = logging.getLogger(name)
        # Only for this command: a program that calls several has its stderr elsewhere by the next one.
        context.call_on_close(partial(logger.removeHandler, handler))
        context.call_on_close(partial(logger.setLevel, logger.level))
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)


def talkative(command: Callable) -> Callable:
    """Options of every command."""
    command = click.option(
        "--debug", is_flag=True, expose_value=False, help="Show where an unexpected problem happened."
    )(command)
    return click.option(
        "--verbose", "-v", is_flag=True, expose_value=False, callback=_verbose, help="Show the log on stderr."
    )(command)


scan_path = click.Path(exists=True, path_type=Path)
scans_argument = click.argument("scans", metavar="SCAN...", nargs=-1, required=True, type=scan_path)
out_option = click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the results."
)
jobs_option = click.option(
    "--jobs", type=int, default=1, show_default=True, help="Processes on this machine; 0 takes all cores."
)
scheduler_option = click.option(
    "--scheduler", metavar="ADDRESS", help="Work on a Dask cluster instead, such as tcp://host:8786."
)
