"""The panel of Headrest Removal in the stand-in, and the head of the digital patient on a headrest."""

from __future__ import annotations

import pytest
from support_segment_panel import show


@pytest.fixture(scope="session")
def patient():
    """The head of the digital patient on a flat headrest, coarse."""
    from CTVolumeLib import phantom

    head = {"coverage": (-0.01, 0.12), "field_mm": 320, "headrest": "flat"}
    return phantom.make(phantom.PhantomParameters(**head, spacing=(2.5, 2.5, 5.0)))


@pytest.fixture
def panel(slicer_app):
    """The module in use; ``ui`` is that of its section."""
    loaded = slicer_app.load("HeadrestRemoval")
    (loaded.segment,) = loaded.widget.sections
    loaded.ui = loaded.segment.ui
    return loaded


@pytest.fixture
def volume(panel, patient):
    """The patient as a volume node that the views show."""
    return show(patient.volume)
