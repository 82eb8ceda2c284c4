"""Headrest Removal: a CT scan without headrest, table and other equipment. Module, panel, logic, tests.

The panel is the section in ``HeadrestRemovalPanel``; every button of it is one call of ``HeadrestRemovalLogic``, which
scripts can call as well.
"""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)


class HeadrestRemoval(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent):
        super().__init__(parent)
        parent.title = _("Headrest Removal")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = ["CTVolume"]
        parent.contributors = ["SlicerCTSliceLocalizer contributors"]
        parent.helpText = _(
            "Finds headrest, table and other equipment in a CT scan, shows them as segments, and makes a copy of the"
            " scan without them in which every other voxel is the same to the bit. Says where the equipment may touch"
            " the patient. Nothing has to be installed. For research use only, not a medical device. Nothing is sent"
            ' anywhere. The tutorial is at <a href="https://github.com/SlicerCTSliceLocalizer/SlicerCTSliceLocalizer">'
            "the homepage</a>."
        )
        parent.acknowledgementText = _("Sources and licences of the sample data are listed in Docs/Credits.md.")


class HeadrestRemovalWidget(ScriptedLoadableModuleWidget):
    """The panel: a column of sections that share a parameter node."""

    def __init__(self, parent=None):
        # First what setup() needs: without a parent the base class calls it at once.
        self.logic = None
        self.column = None
        ScriptedLoadableModuleWidget.__init__(self, parent)

    @property
    def sections(self):
        """The sections from top to bottom."""
        return self.column.sections

    @property
    def parameterNode(self):
        """Settings of all sections; None while the scene closes."""
        return self.column.parameterNode

    def setup(self):
        """Build the column."""
        super().setup()
        from CTVolumePanel.column import Column

        self.logic = HeadrestRemovalLogic()
        self.column = Column(self, _sections())

    def onReload(self):
        """Reload the whole panel, not the module's file alone."""
        from CTVolumePanel.column import forget

        forget("HeadrestRemovalPanel")
        super().onReload()

    def enter(self):
        """The user opened the module."""
        self.column.enter()

    def exit(self):
        """The user opened another module."""
        self.column.exit()

    def cleanup(self):
        """The module is unloaded or reloaded."""
        self.column.cleanup()


class HeadrestRemovalLogic(ScriptedLoadableModuleLogic):
    """What the panel's buttons do, one method each, for scripts as well.

    All raise ``CTVolumeLib.errors.CTError`` with a sentence for the user.
    """

    def getParameterNode(self):
        """The settings of the panel as a ``HeadrestRemovalParameterNode``."""
        from HeadrestRemovalPanel.parameters import HeadrestRemovalParameterNode

        return HeadrestRemovalParameterNode(super().getParameterNode())

    def remove(self, volumeNode, segmentationNode=None, method="auto", fill=-1000, progress=None):
        """Find equipment, write it into a segmentation and make a copy of the scan without it.

        An error or a cancel leaves the scene as it was; the scan itself is never changed.

        Args:
            volumeNode: a CT in HU, under any transform.
            segmentationNode: where headrest, table and other equipment are written; its other segments stay. None for
                a new one.
            method: "auto", "clustering", "network" or "both".
            fill: HU of what is removed, or "air" for the air that the scan shows.
            progress: called with done, total and a text; False cancels.

        Returns:
            ``segmentationNode``, ``cleanedNode`` and ``report``: ``method``, ``warnings``, ``contactCm2``.

        Raises:
            CTVolumeLib.errors.CTError: also where no body is found, with the reason.
        """
        from HeadrestRemovalPanel import removing

        return removing.remove(volumeNode, segmentationNode, method, fill, progress)

    def clean(self, volumeNode, segmentationNode, fill=-1000):
        """Make the cleaned scan anew from the segments as they are now, with what was edited; its node."""
        from HeadrestRemovalPanel import removing

        return removing.clean(volumeNode, segmentationNode, fill)

    def exportDicom(self, volumeNode, segmentationNode, folder, fill=-1000, progress=None):
        """Write the scan without the segments, as they are now, to a new DICOM series of the same study.

        Args:
            volumeNode: a scan that Slicer loaded from its DICOM database.
            segmentationNode: with headrest, table and other equipment.
            folder: in which a folder for the series is made.
            fill: HU of what is removed, or "air".
            progress: called with done, total and a text; False cancels, and nothing is written.

        Returns:
            ``files``, ``series_uid``, ``fill_hu`` and ``notes``: what is not as it was asked for.
        """
        from HeadrestRemovalPanel import exporting

        return exporting.exportDicom(volumeNode, segmentationNode, folder, fill, progress)

    def cleaned(self, volumeNode):
        """The cleaned scan of a volume; None where there is none."""
        from HeadrestRemovalPanel import cleaned_scan

        return cleaned_scan.nodeOf(volumeNode)

    def report(self, segmentationNode):
        """The report that is kept with the segments, also after the scene was saved; None without segments."""
        from HeadrestRemovalPanel import removing

        return removing.reportOf(segmentationNode)

    def labels(self, volumeNode, segmentationNode):
        """(k, j, i) uint8 the equipment as it is now: 2 headrest, 3 table, 4 other equipment, 0 all else."""
        from HeadrestRemovalPanel import removing

        return removing.labelsOf(volumeNode, segmentationNode)

    def measure(self, volumeNode, segmentationNode):
        """``HeadrestRemovalLib.measure.EquipmentMeasures`` of each kind and of all, as they are now."""
        from HeadrestRemovalPanel import removing

        return removing.measure(volumeNode, segmentationNode)

    def showTable(self, volumeNode, segmentationNode):
        """Show the measures as a table beside the slice views; the table node."""
        from HeadrestRemovalPanel import result_views

        return result_views.showTable(volumeNode, segmentationNode)

    def showCleaned(self, volumeNode, segmentationNode=None, cleaned=True):
        """Show the cleaned scan where the scan is shown, with the segments hidden, or the scan again."""
        from HeadrestRemovalPanel import comparing

        comparing.showCleaned(volumeNode, segmentationNode, cleaned)

    def show3D(self, volumeNode, shown=True):
        """Render what the slice views show, the scan or its cleaned copy, in the 3D view; or end that."""
        from HeadrestRemovalPanel import comparing

        comparing.show3D(volumeNode, shown)

    def showContact(self, volumeNode, segmentationNode):
        """Move the slice views to where most equipment, above all what is as dense as skin, touches the patient."""
        from HeadrestRemovalPanel import comparing, removing

        report = removing.reportOf(segmentationNode)
        if report is not None and report.contactIjk:
            comparing.jumpTo(volumeNode, report.contactIjk)

    def clear(self, volumeNode, segmentationNode):
        """Remove the segments and the cleaned scan with all that was made of them; other segments stay."""
        from HeadrestRemovalPanel import removing

        removing.clear(volumeNode, segmentationNode)


class HeadrestRemovalTest(ScriptedLoadableModuleTest):
    """Inside Slicer, offline: on the phantom and the sample scan."""

    def setUp(self):
        """Start from an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self):
        """Called by Reload & Test."""
        for name in sorted(dir(self)):
            if name.startswith("test"):
                self.setUp()
                getattr(self, name)()

    def test_phantom(self):
        """The digital patient's headrest goes, the patient stays to the bit."""
        import numpy as np

        node, patient = _phantomNode()
        logic = HeadrestRemovalLogic()
        done = logic.remove(node)
        given, cleaned = slicer.util.arrayFromVolume(node), slicer.util.arrayFromVolume(done.cleanedNode)
        gone = given != cleaned
        true = patient.masks["headrest"] | patient.masks["table"]
        assert not (gone & patient.masks["patient"] & (given > -300)).any()
        solid = true & (given > -900)
        assert np.count_nonzero(gone & solid) > 0.99 * np.count_nonzero(solid)
        assert (cleaned[gone] == -1000).all()
        found = logic.labels(node, done.segmentationNode) == 2
        true = patient.masks["headrest"]
        dice = 2 * np.count_nonzero(found & true) / (np.count_nonzero(found) + np.count_nonzero(true))
        assert dice > 0.8, dice

    def test_sample(self):
        """Of the sample scan the table goes and no tissue."""
        import numpy as np
        from CTVolumeLib import dicom, samples, scene

        node = scene.node_from_volume(dicom.read(samples.sample("CTChestSample").path), "CTChestSample")
        logic = HeadrestRemovalLogic()
        done = logic.remove(node)
        gone = slicer.util.arrayFromVolume(node) != slicer.util.arrayFromVolume(done.cleanedNode)
        assert np.count_nonzero(gone) > 1000
        assert logic.measure(node, done.segmentationNode)[-1].volume_ml < 20000

    def test_other_segments_stay(self):
        """A segmentation keeps what it holds."""
        node, _patient = _phantomNode()
        segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mine")
        segmentation.CreateDefaultDisplayNodes()
        segmentation.SetReferenceImageGeometryParameterFromVolumeNode(node)
        mine = segmentation.GetSegmentation().AddEmptySegment("mine", "mine")
        logic = HeadrestRemovalLogic()
        logic.remove(node, segmentation)
        assert segmentation.GetSegmentation().GetNumberOfSegments() == 4
        logic.clear(node, segmentation)
        assert list(segmentation.GetSegmentation().GetSegmentIDs()) == [mine]

    def test_nothing_is_left(self):
        """Clear leaves the nodes that were there before, and so does a cancel."""
        from CTVolumeLib.errors import CTError

        node, _patient = _phantomNode()
        slicer.util.setSliceViewerLayers(background=node, fit=True)
        logic = HeadrestRemovalLogic()
        for _time in range(2):  # the first time Slicer makes nodes of its own: subject hierarchy, views
            before = slicer.mrmlScene.GetNumberOfNodes()
            done = logic.remove(node)
            logic.show3D(node)
            logic.showCleaned(node, done.segmentationNode)
            logic.showTable(node, done.segmentationNode)
            logic.clean(node, done.segmentationNode, "air")
            logic.clear(node, done.segmentationNode)
        assert slicer.mrmlScene.GetNumberOfNodes() == before
        with self.assertRaises(CTError):  # noqa: PT027 - pytest is not part of Slicer
            logic.remove(node, progress=lambda *_step: False)
        assert slicer.mrmlScene.GetNumberOfNodes() == before


def _phantomNode():
    """The head of the digital patient on a headrest as a volume node, and its truth."""
    from CTVolumeLib import phantom, scene

    head = phantom.PhantomParameters(coverage=(-0.01, 0.13), spacing=(2.0, 2.0, 4.0), field_mm=320, headrest="flat")
    patient = phantom.make(head)
    return scene.node_from_volume(patient.volume, "CTPhantom"), patient


def _sections():
    """The sections of the panel from top to bottom."""
    from HeadrestRemovalPanel.remove_section import RemoveSection

    return (RemoveSection,)
