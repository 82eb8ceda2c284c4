"""The panel of Lung Segment in the stand-in, and the chest of the digital patient."""

from __future__ import annotations

import pytest
from support_segment_panel import show


@pytest.fixture(scope="session")
def patient():
    """The chest of the digital patient, coarse."""
    from CTVolumeLib import phantom

    chest = phantom.PhantomParameters(coverage=(0.13, 0.34), spacing=(3.0, 3.0, 7.0), field_mm=380)
    return phantom.make(chest)


@pytest.fixture
def panel(slicer_app):
    """The module in use; ``ui`` is that of its section Segment."""
    loaded = slicer_app.load("LungSegment")
    loaded.segment, loaded.recipe, loaded.prepare = loaded.widget.sections
    loaded.ui = loaded.segment.ui
    return loaded


@pytest.fixture
def volume(panel, patient):
    """The patient as a volume node that the views show."""
    return show(patient.volume)
