"""CTVolume.py in the stand-in: the module loads without a panel, and its samples are registered and load."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import pytest

CATEGORY = "CT Slice Localizer"


@pytest.fixture
def module(slicer_app):
    """The module before Slicer has started."""
    return slicer_app.load("CTVolume", enter=False)


def sources():
    """The sample data sources by name."""
    import slicer

    return {source.sampleName: source for source in slicer.modules.sampleDataSources.get(CATEGORY, [])}


def test_is_hidden_and_registers_samples_only_when_slicer_has_started(slicer_app, module):
    assert module.module.hidden is True
    assert sources() == {}
    slicer_app.application.startupCompleted.emit()
    assert set(sources()) == {"CTChestSample", "CTChestSampleFollowUp", "CTPhantom", "CTPhantomHead"}


def test_samples_are_files_of_the_extension(slicer_app, module):
    slicer_app.application.startupCompleted.emit()
    for source in sources().values():
        assert Path(source.thumbnailFileName).is_file()
        if source.uris:
            address = urlparse(source.uris)
            assert address.scheme == "file", "nothing is downloaded"
            assert Path(url2pathname(address.path)).is_file()
            assert source.checksums.startswith("SHA256:")


def test_sample_data_module_loads_a_sample(slicer_app, module):
    import SampleData

    slicer_app.application.startupCompleted.emit()
    node = SampleData.downloadSample("CTChestSampleFollowUp")
    assert node.GetName() == "CTChestSampleFollowUp"
    assert node.GetImageData().GetScalarRange()[1] > 200


def test_phantom_button_makes_a_node_and_shows_it(slicer_app, module, monkeypatch):
    import SampleData
    import slicer
    from CTVolumeLib import phantom

    small = phantom.PhantomParameters(spacing=(10, 10, 20))
    make = phantom.make
    monkeypatch.setattr(phantom, "make", lambda _parameters=None: make(small))
    slicer_app.application.startupCompleted.emit()
    node = SampleData.downloadSample("CTPhantom")
    assert node.GetName() == "CTPhantom"
    assert node.GetImageData().GetScalarRange()[1] > 200
    red = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    assert red.GetBackgroundVolumeID() == node.GetID()


def test_sample_as_a_node(module):
    from CTVolumeLib import scene

    node = module.file.CTVolumeLogic().sample("CTChestSample")
    volume = scene.volume_from_node(node)
    assert volume.array.shape == (102, 180, 180)
    assert volume.spacing == pytest.approx((2.5, 2.5, 3.0), abs=1e-5)


def test_self_tests_of_the_module_pass(slicer_app, module):
    slicer_app.testing = True
    module.module.self().runTest()
