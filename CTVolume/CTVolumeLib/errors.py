"""The one error that users see: what happened, in which file or series, and what to do about it."""

from __future__ import annotations


class CTError(Exception):
    """A problem that a user can understand and act on.

    Args:
        code: short stable name for programs, such as ``"no_images"``.
        message: one sentence that says what happened and names the file or series. Never a patient's name or ID.
        hint: one sentence that says what to do, or an empty string.
    """

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    def __reduce__(self) -> tuple:
        return CTError, (self.code, self.message, self.hint)
