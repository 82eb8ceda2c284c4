"""Hidden module of what the modules of this extension share: the library CTVolumeLib, and sample data."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
)

CATEGORY = "CT Slice Localizer"
PHANTOM_NAME = "CTPhantom"
HEAD_NAME = "CTPhantomHead"


class CTVolume(ScriptedLoadableModule):
    """Registers the sample data; there is no panel."""

    def __init__(self, parent):
        super().__init__(parent)
        parent.title = _("CT Volume")
        parent.categories = ["Utilities"]
        parent.dependencies = []
        parent.contributors = ["SlicerCTSliceLocalizer contributors"]
        parent.helpText = _(
            "What the modules of the CT Slice Localizer extension share: reading, geometry and pictures of CT, and"
            " sample data. For research use only, not a medical device."
        )
        parent.acknowledgementText = _("Sources and licences of the sample data are listed in Docs/Credits.md.")
        parent.hidden = True
        slicer.app.connect("startupCompleted()", registerSampleData)


class CTVolumeLogic(ScriptedLoadableModuleLogic):
    """Sample scans as nodes, for scripts: ``CTVolumeLogic().phantom()``."""

    def sample(self, name: str):
        """A sample scan of the extension as a volume node; see ``CTVolumeLib.samples.SAMPLES`` for the names."""
        from CTVolumeLib import dicom, samples, scene

        return scene.node_from_volume(dicom.read(samples.sample(name).path), name)

    def phantom(self, parameters=None):
        """The digital patient as a volume node, with default or other ``CTVolumeLib.phantom.PhantomParameters``."""
        from CTVolumeLib import phantom, scene

        return scene.node_from_volume(phantom.make(parameters).volume, PHANTOM_NAME)

    def phantomHead(self):
        """The head of the digital patient on a headrest as a volume node."""
        from CTVolumeLib import phantom, scene

        head = phantom.PhantomParameters(
            coverage=(-0.01, 0.14), spacing=(1.2, 1.2, 2.5), field_mm=340, headrest="box", hair=4
        )
        return scene.node_from_volume(phantom.make(head).volume, HEAD_NAME)


class CTVolumeTest(ScriptedLoadableModuleTest):
    """Inside Slicer: the library is found, and the sample data is registered and can be loaded."""

    def setUp(self):
        """Start from an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self):
        """Called by Reload & Test."""
        self.setUp()
        self.test_samples()

    def test_samples(self):
        """Every sample is offered and has voxels."""
        from CTVolumeLib.samples import SAMPLES

        registerSampleData()
        names = [source.sampleName for source in slicer.modules.sampleDataSources[CATEGORY]]
        for entry in SAMPLES:
            assert entry.name in names
            assert CTVolumeLogic().sample(entry.name).GetImageData() is not None


def registerSampleData():
    """Offer the sample scans, which come with the extension, in the Sample Data module; nothing is downloaded."""
    import SampleData
    from CTVolumeLib.samples import SAMPLES

    logic = SampleData.SampleDataLogic
    for entry in SAMPLES:
        logic.registerCustomSampleDataSource(
            category=CATEGORY,
            sampleName=entry.name,
            # A file address, not a custom downloader: so SampleData.downloadSample(name) of scripts works as well.
            uris=entry.path.as_uri(),
            fileNames=entry.file,
            nodeNames=entry.name,
            checksums=f"SHA256:{entry.sha256}",
            thumbnailFileName=_thumbnail(),
        )
    for name, make in ((PHANTOM_NAME, CTVolumeLogic.phantom), (HEAD_NAME, CTVolumeLogic.phantomHead)):
        logic.registerCustomSampleDataSource(
            category=CATEGORY,
            sampleName=name,
            uris="",
            fileNames="",
            nodeNames=name,
            customDownloader=lambda _source, make=make: _show(make),
            thumbnailFileName=_thumbnail(),
        )


def _show(make):
    """What the buttons of the phantoms do: they are rendered, not loaded."""
    with slicer.util.tryWithErrorDisplay(_("The phantom could not be made."), waitCursor=True):
        node = make(CTVolumeLogic())
        slicer.util.setSliceViewerLayers(background=node, fit=True)
        return [node]


def _thumbnail():
    from pathlib import Path

    return str(Path(__file__).parent / "Resources" / "Icons" / "CTVolume.png")
