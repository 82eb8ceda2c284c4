"""What all commands of ``ct-localize`` share: exit codes, options, progress and messages."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

import click

DONE, SOME_FAILED, WRONG_CALL, NOTHING_USABLE, STOPPED = 0, 1, 2, 3, 130


def _verbose(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    """Show the program's own log; nobody else's, for it may quote a header, and so a patient's name."""
    logger = logging.getLogger("CTVolumeLib"), logging.getLogger("CTSliceLocalizerLib")
    if wanted and not context.meta.get("verbose"):
        context.meta["verbose"] = True
        for one in logger:
            handler = logging.StreamHandler()
            handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
            one.addHandler(handler)
            one.setLevel(logging.DEBUG)


def talkative(command: Callable) -> Callable:
    """Options of every command."""
    command = click.option(
        "--debug", is_flag=True, expose_value=False, help="Show where an unexpected problem happened."
    )(command)
    return click.option(
        "--verbose", "-v", is_flag=True, expose_value=False, callback=_verbose, help="Show the log on stderr."
    )(command)


scan_path = click.Path(exists=True, path_type=Path)
out_option = click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the results."
)
engine_option = click.option(
    "--engine",
    type=click.Choice(["auto", "numpy", "litert"]),
    default="auto",
    show_default=True,
    help="What runs the network: numpy is always there, LiteRT is faster where it is installed.",
)


model_option = click.option(
    "--model",
    type=click.Path(exists=True, path_type=Path),
    help="The .npz of a model of one's own (ct-localize train); by default the shipped one.",
)


PROGRESS_LINES = "CT_LOCALIZE_PROGRESS"
"""Environment variable that, if set to ``lines``, makes progress a line on stderr for the program that started this
one: ``progress <done> <total> <text>``."""


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


def say(text: str) -> None:
    """Tell a person something, apart from the results."""
    click.echo(text, err=True)
