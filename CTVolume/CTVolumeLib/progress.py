"""Telling a caller how far long work is, and stopping when it is cancelled."""

from __future__ import annotations

from collections.abc import Callable

from .errors import CTError

Progress = Callable[[int, int, str], bool]
"""Called with what is done, what there is in all, and a text; returning False cancels."""


def part(progress: Progress | None, number: int, of: int) -> Progress | None:
    """The progress of one part, counted from 0, of work whose parts go over the same number of things."""
    if progress is None:
        return None
    return lambda done, total, text: progress(number * total + done, of * total, text)


class Steps:
    """Work of so many steps; call it with the name of each as it begins, and once more at the end."""

    def __init__(self, progress: Progress | None, total: int, what: str) -> None:
        """Begin.

        Args:
            progress: None where nobody wants to know.
            total: number of steps.
            what: is done, for the sentence that it was cancelled.
        """
        self._progress, self._total, self._what = progress, total, what
        self._done = 0

    def __call__(self, text: str) -> None:
        """Begin the next step.

        Raises:
            CTError: ``cancelled``.
        """
        if self._progress and not self._progress(self._done, self._total, text):
            raise CTError("cancelled", f"{self._what} was cancelled.")
        self._done += 1
