"""Progress in steps: what is told, and how a cancel ends."""

from __future__ import annotations

import pytest
from CTVolumeLib.errors import CTError
from CTVolumeLib.progress import Steps, part


def test_each_step_is_told_as_it_begins():
    told = []
    steps = Steps(lambda *call: told.append(call) or True, 2, "Looking")
    for text in ("first", "second", "done"):
        steps(text)
    assert told == [(0, 2, "first"), (1, 2, "second"), (2, 2, "done")]


def test_a_cancel_is_an_error_that_says_what_was_cancelled():
    steps = Steps(lambda done, _total, _text: done < 1, 3, "Looking for it")
    steps("first")
    with pytest.raises(CTError, match=r"^Looking for it was cancelled") as caught:
        steps("second")
    assert caught.value.code == "cancelled"


def test_nobody_has_to_listen():
    Steps(None, 1, "Looking")("first")


def test_parts_follow_each_other():
    told = []
    for number in (0, 1, 2):
        part(lambda *seen: told.append(seen) or True, number, 3)(3, 10, "now")
    assert told == [(3, 30, "now"), (13, 30, "now"), (23, 30, "now")]
    assert part(None, 1, 2) is None
