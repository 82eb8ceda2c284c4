"""Lung Segment: the lungs of a chest CT, with a light that says when not to trust them. Module, panel, logic, tests.

The panel is put together from the sections in ``LungSegmentPanel``; every button of theirs is one call of
``LungSegmentLogic``, which scripts can call as well.
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


class LungSegment(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent):
        super().__init__(parent)
        parent.title = _("Lung Segment")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = ["CTVolume"]
        parent.contributors = ["SlicerCTSliceLocalizer contributors"]
        parent.helpText = _(
            "Finds both lungs, trachea and main bronchi in a chest CT within seconds, says with a light when not to"
            " trust the result, and measures volume and density. Nothing has to be installed. For research use only,"
            " not a medical device. Nothing is sent anywhere. The tutorial is at"
            ' <a href="https://github.com/SlicerCTSliceLocalizer/SlicerCTSliceLocalizer">the homepage</a>.'
        )
        parent.acknowledgementText = _(
            "The section Classic recipe shows the steps that tutorials on chest CT teach. Sources and licences of the"
            " sample data are listed in Docs/Credits.md."
        )


class LungSegmentWidget(ScriptedLoadableModuleWidget):
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

        self.logic = LungSegmentLogic()
        self.column = Column(self, _sections())

    def onReload(self):
        """Reload the whole panel, not the module's file alone."""
        from CTVolumePanel.column import forget

        forget("LungSegmentPanel")
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


class LungSegmentLogic(ScriptedLoadableModuleLogic):
    """What the panel's buttons do, one method each, for scripts as well.

    All raise ``CTVolumeLib.errors.CTError`` with a sentence for the user.
    """

    def getParameterNode(self):
        """The settings of the panel as a ``LungSegmentParameterNode``."""
        from LungSegmentPanel.parameters import LungSegmentParameterNode

        return LungSegmentParameterNode(super().getParameterNode())

    # Segment

    def segment(self, volumeNode, segmentationNode=None, thresholdHu=-320, closingMm=8, progress=None):
        """Find both lungs, trachea and main bronchi; an error or a cancel leaves the scene as it was.

        Args:
            volumeNode: a CT in HU, under any transform.
            segmentationNode: where they are written; its other segments stay. None for a new one.
            thresholdHu: what is darker is air or lung.
            closingMm: notches up to twice this wide are filled.
            progress: called with done, total and a text; False cancels.

        Returns:
            ``segmentationNode`` and ``light``: ``colour``, ``reasons``, ``notes``.

        Raises:
            CTVolumeLib.errors.CTError: also where no lungs are found, with the reason.
        """
        from LungSegmentPanel import segmenting

        return segmenting.segment(volumeNode, segmentationNode, thresholdHu, closingMm, progress)

    def light(self, segmentationNode):
        """The light that is kept with lungs, also after the scene was saved; None without lungs."""
        from LungSegmentPanel import segmenting

        return segmenting.lightOf(segmentationNode)

    def labels(self, volumeNode, segmentationNode):
        """(k, j, i) uint8 the lungs as they are now: 1 left lung, 2 right lung, 3 trachea and main bronchi."""
        from LungSegmentPanel import segmenting

        return segmenting.labelsOf(volumeNode, segmentationNode)

    def clear(self, volumeNode, segmentationNode):
        """Remove the lungs with what was made of them; other segments stay."""
        from LungSegmentPanel import segmenting

        segmenting.clear(volumeNode, segmentationNode)

    def previewThreshold(self, volumeNode, thresholdHu):
        """Show in the slice views what is darker; ``setThreshold`` of the result changes it, ``remove`` ends it."""
        from LungSegmentPanel.view_overlay import ThresholdPreview

        return ThresholdPreview(volumeNode, thresholdHu)

    # What is made of them

    def measure(self, volumeNode, segmentationNode):
        """``LungSegmentLib.measure.LungMeasures`` of the left, the right and both lungs, as they are now."""
        from LungSegmentPanel import result_views

        return result_views.measure(volumeNode, segmentationNode)

    def showTable(self, volumeNode, segmentationNode):
        """Show the measures as a table beside the slice views; the table node."""
        from LungSegmentPanel import result_views

        return result_views.showTable(volumeNode, segmentationNode)

    def showHistogram(self, volumeNode, segmentationNode):
        """Show how many mL of each lung have which HU; the chart node."""
        from LungSegmentPanel import result_views

        return result_views.showHistogram(volumeNode, segmentationNode)

    def show3D(self, segmentationNode, shown=True):
        """Show the surface of the segments in the 3D view, or hide it."""
        from LungSegmentPanel import result_views

        result_views.show3D(segmentationNode, shown)

    def showDifference(self, volumeNode, segmentationNode, thresholdHu=-320):
        """Add a segment with vessels, nodules and all else that is dense in the lungs: filled minus unfilled."""
        from LungSegmentPanel import segmenting

        segmenting.showDense(volumeNode, segmentationNode, thresholdHu)

    def hideDifference(self, segmentationNode):
        """Remove the segment of ``showDifference``."""
        from LungSegmentPanel import segmenting

        segmenting.removeDense(segmentationNode)

    def preprocess(
        self, volumeNode, segmentationNode=None, cropMarginMm=10, spacingMm=1, normalize=True, zeroCenter=True
    ):
        """Make a new volume as networks want it.

        Args:
            volumeNode: the scan.
            segmentationNode: its lungs; not needed without cropping.
            cropMarginMm: around the lungs; None keeps the whole scan.
            spacingMm: in all directions; None keeps that of the scan.
            normalize: whether -1000 to 400 HU become 0 to 1.
            zeroCenter: whether 0.25 is subtracted then.

        Returns:
            vtkMRMLScalarVolumeNode.
        """
        from LungSegmentPanel import result_views

        return result_views.preprocess(volumeNode, segmentationNode, cropMarginMm, spacingMm, normalize, zeroCenter)

    # Classic recipe

    def recipeSteps(self, volumeNode, thresholdHu=-320, background="corners", fill=True, pockets=1):
        """Do the recipe that tutorials teach: (k, j, i) bool of each step by its key, in order."""
        from LungSegmentPanel import recipe_steps

        return recipe_steps.follow(volumeNode, thresholdHu, background, fill, pockets)

    def showRecipeStep(self, volumeNode, steps, number):
        """Show a step of ``recipeSteps``, from 0, in the slice views; ``remove`` of what is returned ends it."""
        from LungSegmentPanel import recipe_steps

        key, title, _words = recipe_steps.STEPS[number]
        return recipe_steps.overlay(volumeNode, steps[key], title)


class LungSegmentTest(ScriptedLoadableModuleTest):
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
        """The digital patient's lungs are found where they truly are, left is left, the volume is right."""
        import numpy as np

        node, patient = _phantomNode()
        logic = LungSegmentLogic()
        done = logic.segment(node)
        labels = logic.labels(node, done.segmentationNode)
        for value, name in ((1, "left lung"), (2, "right lung")):
            found, true = labels == value, patient.masks[name]
            dice = 2 * np.count_nonzero(found & true) / (np.count_nonzero(found) + np.count_nonzero(true))
            assert dice > 0.95, (name, dice)
        both = logic.measure(node, done.segmentationNode)[2]
        true_ml = np.count_nonzero(patient.masks["left lung"] | patient.masks["right lung"]) * 3 * 3 * 6 / 1000
        assert abs(both.volume_ml / true_ml - 1) < 0.03
        assert done.light.colour == "green", done.light

    def test_sample(self):
        """The lungs of the sample scan have a likely volume and density."""
        from CTVolumeLib import dicom, samples, scene

        node = scene.node_from_volume(dicom.read(samples.sample("CTChestSample").path), "CTChestSample")
        logic = LungSegmentLogic()
        both = logic.measure(node, logic.segment(node).segmentationNode)[2]
        assert 1500 < both.volume_ml < 8000
        assert -900 < both.mean_hu < -600

    def test_other_segments_stay(self):
        """A segmentation keeps what it holds."""
        node, _patient = _phantomNode()
        segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mine")
        segmentation.CreateDefaultDisplayNodes()
        segmentation.SetReferenceImageGeometryParameterFromVolumeNode(node)
        mine = segmentation.GetSegmentation().AddEmptySegment("mine", "mine")
        logic = LungSegmentLogic()
        logic.segment(node, segmentation)
        assert segmentation.GetSegmentation().GetNumberOfSegments() == 4
        logic.clear(node, segmentation)
        assert list(segmentation.GetSegmentation().GetSegmentIDs()) == [mine]

    def test_nothing_is_left(self):
        """Clear leaves the nodes that were there before, and so does a cancel."""
        from CTVolumeLib.errors import CTError

        node, _patient = _phantomNode()
        logic = LungSegmentLogic()
        for _time in range(2):  # the first time Slicer makes nodes of its own: subject hierarchy, views
            before = slicer.mrmlScene.GetNumberOfNodes()
            done = logic.segment(node)
            logic.showTable(node, done.segmentationNode)
            logic.showHistogram(node, done.segmentationNode)
            logic.show3D(done.segmentationNode)
            logic.previewThreshold(node, -400).remove()
            logic.showRecipeStep(node, logic.recipeSteps(node), 2).remove()
            logic.clear(node, done.segmentationNode)
        assert slicer.mrmlScene.GetNumberOfNodes() == before
        with self.assertRaises(CTError):  # noqa: PT027 - pytest is not part of Slicer
            logic.segment(node, progress=lambda *_step: False)
        assert slicer.mrmlScene.GetNumberOfNodes() == before


def _phantomNode():
    """The chest of the digital patient as a volume node, and its truth."""
    from CTVolumeLib import phantom, scene

    patient = phantom.make(phantom.PhantomParameters(coverage=(0.12, 0.36), spacing=(3.0, 3.0, 6.0), field_mm=380))
    return scene.node_from_volume(patient.volume, "CTPhantom"), patient


def _sections():
    """The sections of the panel from top to bottom."""
    from LungSegmentPanel.prepare_section import PrepareSection
    from LungSegmentPanel.recipe_section import RecipeSection
    from LungSegmentPanel.segment_section import SegmentSection

    return SegmentSection, RecipeSection, PrepareSection
