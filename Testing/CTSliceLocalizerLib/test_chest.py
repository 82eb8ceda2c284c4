"""Where the chest lies: only of scans that hold more than it, and only where their location is beyond doubt."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from CTSliceLocalizerLib import chest, predictor
from CTSliceLocalizerLib.results import Flag, refusal
from CTVolumeLib.errors import CTError
from support_chest import chest as phantom
from support_locations import fake_location

WHOLE = fake_location(np.arange(-900.0, 1.0, 5.0), top_mm=0.0)


def test_range_lies_between_the_neck_and_the_lumbar_spine():
    low, high = chest.range_of(WHOLE)
    inside = (WHOLE.z_mm >= low) & (WHOLE.z_mm <= high)
    assert np.all(WHOLE.location[inside] > 0.12)
    assert np.all(WHOLE.location[inside] < 0.39)
    assert 250 < high - low < 600
    assert low < WHOLE.landmark("L1").z_mm - 30
    assert high > WHOLE.landmark("C7").z_mm + 30


def test_doubt_and_scans_of_the_chest_alone_have_no_range():
    low, high = chest.range_of(WHOLE)
    assert chest.range_of(replace(WHOLE, flags=(Flag("short_scan", "Little is shown."),))) is None
    assert chest.range_of(refusal(Flag("not_ct", "It is MR."), series=WHOLE.series, model=WHOLE.model)) is None
    assert chest.range_of(fake_location(np.arange(low + 5, high - 5, 5.0), top_mm=0.0)) is None
    assert chest.range_of(fake_location(np.arange(-900.0, low - 100, 5.0), top_mm=0.0)) is None


def test_a_scan_that_cannot_be_located_has_no_range(monkeypatch):
    def fail(*_, **__):
        raise CTError("model_missing", "The model is missing.")

    monkeypatch.setattr(predictor, "locate", fail)
    assert chest.find(phantom().volume) is None
    monkeypatch.setattr(predictor, "locate", lambda *_, **__: WHOLE)
    assert chest.find(phantom().volume) == pytest.approx(chest.range_of(WHOLE))
