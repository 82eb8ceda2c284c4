"""CTVolume.py with the least of Slicer that it needs: the module loads, and its samples are registered and load."""

from __future__ import annotations

import importlib
import sys
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType, SimpleNamespace
from urllib.parse import urlparse
from urllib.request import url2pathname

import pytest
import support_mrml as mrml

FOLDER = Path(__file__).parent.parent / "CTVolume"


class Base:
    def __init__(self, parent=None):
        self.parent = parent


@pytest.fixture
def module(monkeypatch):
    """The module, imported as Slicer does; ``slicer.registered`` collects the sample data sources."""
    world = mrml.start()
    import slicer

    scripted = ModuleType("slicer.ScriptedLoadableModule")
    for name in ("Module", "ModuleLogic", "ModuleTest"):
        setattr(scripted, f"ScriptedLoadable{name}", Base)
    translation = ModuleType("slicer.i18n")
    translation.tr = lambda text: text
    data = ModuleType("SampleData")
    slicer.registered, connected = {}, {}
    data.SampleDataLogic = SimpleNamespace(
        registerCustomSampleDataSource=lambda **source: slicer.registered.update({source["sampleName"]: source})
    )
    monkeypatch.setitem(sys.modules, "slicer.ScriptedLoadableModule", scripted)
    monkeypatch.setitem(sys.modules, "slicer.i18n", translation)
    monkeypatch.setitem(sys.modules, "SampleData", data)
    monkeypatch.setattr(slicer, "app", SimpleNamespace(connect=connected.__setitem__), raising=False)
    monkeypatch.setattr(slicer.util, "tryWithErrorDisplay", lambda *_a, **_k: nullcontext())
    monkeypatch.setattr(slicer.util, "setSliceViewerLayers", lambda **_k: None)
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.delitem(sys.modules, "CTVolume", raising=False)
    module = importlib.import_module("CTVolume")
    assert Path(module.__file__) == FOLDER / "CTVolume.py"
    parent = SimpleNamespace()
    module.CTVolume(parent)
    yield SimpleNamespace(module=module, parent=parent, connected=connected, scene=world.scene, slicer=slicer)
    sys.modules.pop("CTVolume", None)
    del slicer.registered
    mrml.stop(world)


def test_is_hidden_and_registers_samples_only_when_slicer_has_started(module):
    assert module.parent.hidden is True
    assert module.slicer.registered == {}
    module.connected["startupCompleted()"]()
    assert set(module.slicer.registered) == {"CTChestSample", "CTChestSampleFollowUp", "CTPhantom"}


def test_samples_are_files_of_the_extension(module):
    module.connected["startupCompleted()"]()
    for source in module.slicer.registered.values():
        assert Path(source["thumbnailFileName"]).is_file()
        if source["uris"]:
            address = urlparse(source["uris"])
            assert address.scheme == "file", "nothing is downloaded"
            assert Path(url2pathname(address.path)).is_file()
            assert source["checksums"].startswith("SHA256:")


def test_phantom_button_makes_a_node(module, monkeypatch):
    from CTVolumeLib import phantom

    small = phantom.PhantomParameters(spacing=(10, 10, 20))
    make = phantom.make
    monkeypatch.setattr(phantom, "make", lambda _parameters=None: make(small))
    module.connected["startupCompleted()"]()
    (node,) = module.slicer.registered["CTPhantom"]["customDownloader"](None)
    assert node.GetName() == "CTPhantom"
    assert node.GetScene() is module.scene
    assert node.GetImageData().GetScalarRange()[1] > 200


def test_sample_as_a_node(module):
    from CTVolumeLib import scene

    node = module.module.CTVolumeLogic().sample("CTChestSample")
    volume = scene.volume_from_node(node)
    assert volume.array.shape == (102, 180, 180)
    assert volume.spacing == pytest.approx((2.5, 2.5, 3.0), abs=1e-5)
