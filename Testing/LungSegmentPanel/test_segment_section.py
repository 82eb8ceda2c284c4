"""The panel of Lung Segment in use: real clicks and keys, on the phantom."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture(scope="session")
def patient():
    """The chest of the digital patient, coarse."""
    from CTVolumeLib import phantom

    return phantom.make(phantom.PhantomParameters(coverage=(0.12, 0.36), spacing=(3.0, 3.0, 5.0)))


@pytest.fixture
def panel(slicer_app):
    loaded = slicer_app.load("LungSegment")
    loaded.sections = loaded.widget.sections
    loaded.ui = loaded.sections[0].ui
    return loaded


@pytest.fixture
def volume(panel, patient):
    return show(patient.volume)


def show(volume, name: str = "CT"):
    import slicer.util
    from CTVolumeLib import scene

    node = scene.node_from_volume(volume, name)
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    return node


def apply(slicer_app, panel, volume):
    slicer_app.choose(panel.ui.inputSelector, volume)
    slicer_app.click(panel.ui.applyButton)
    assert not panel.ui.messageLabel.isVisible(), panel.ui.messageLabel.text
    return panel.widget.parameterNode.outputSegmentation


def dice(a, b) -> float:
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def test_one_click_gives_lungs_light_and_measures(slicer_app, panel, volume, patient):
    segmentation = apply(slicer_app, panel, volume)
    labels = panel.logic.labels(volume, segmentation)
    assert dice(labels == 1, patient.masks["left lung"]) > 0.95
    assert dice(labels == 2, patient.masks["right lung"]) > 0.95
    assert "GREEN" in panel.ui.lightLabel.text
    assert panel.ui.measureTable.item(0, 0).text() == "Volume (mL)"
    both = float(panel.ui.measureTable.item(0, 3).text())
    truth = np.count_nonzero(patient.masks["left lung"] | patient.masks["right lung"]) * 3 * 3 * 5 / 1000
    assert both == pytest.approx(truth, rel=0.03)
