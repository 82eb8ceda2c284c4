"""CT Slice Localizer: where in the body is this slice, and where is it in the follow-up? Module, panel, logic, tests.

The panel is put together from the sections in ``CTSliceLocalizerPanel``; every button of theirs is one call of
``CTSliceLocalizerLogic``, which scripts can call as well.
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
from slicer.util import VTKObservationMixin

_RELOADED = ("CTSliceLocalizerPanel", "CTSliceLocalizerLib")


class CTSliceLocalizer(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent):
        super().__init__(parent)
        parent.title = _("CT Slice Localizer")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Analysis")]
        parent.dependencies = ["CTVolume"]
        parent.contributors = ["SlicerCTSliceLocalizer contributors"]
        parent.helpText = _(
            "Says for every slice of a CT scan where in the body it lies, marks 12 landmarks, and scrolls a scan and"
            " its follow-up together, without registration. For research use only, not a medical device. Nothing is"
            " sent anywhere. The tutorial is at"
            ' <a href="https://github.com/SlicerCTSliceLocalizer/SlicerCTSliceLocalizer">the homepage</a>.'
        )
        parent.acknowledgementText = _(
            'The location scale is that of the article "Building a CT slice localizer with Keras". Sources and'
            " licences of the sample data are listed in Docs/Credits.md, and what the model was trained on in its card."
        )


class CTSliceLocalizerWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: a column of sections that share a parameter node."""

    def __init__(self, parent=None):
        # First what setup() needs: without a parent the base class calls it at once.
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.sections = []
        self._parameterNode = None
        ScriptedLoadableModuleWidget.__init__(self, parent)

    @property
    def parameterNode(self):
        """Settings of all sections; None while the scene closes."""
        return self._parameterNode

    def setup(self):
        """Build the column."""
        super().setup()
        self.logic = CTSliceLocalizerLogic()
        for makeSection in _sections():
            section = makeSection(self)
            self.sections.append(section)
            self.layout.addWidget(section.button)
        self.layout.addStretch(1)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self._onSceneStartsToClose)
        self.addObserver(scene, scene.EndCloseEvent, self._onSceneChanged)
        self.addObserver(scene, scene.EndImportEvent, self._onSceneChanged)
        self.initializeParameterNode()

    def initializeParameterNode(self):
        """Take the parameter node of the scene, or make one."""
        self._setParameterNode(self.logic.getParameterNode())

    def onReload(self):
        """Reload the panel and the library as well, not the module's file alone."""
        import sys

        for name in [name for name in sys.modules if name.split(".")[0] in _RELOADED]:
            del sys.modules[name]
        super().onReload()

    def enter(self):
        """The user opened the module."""
        self.initializeParameterNode()
        for section in self.sections:
            section.enter()

    def exit(self):
        """The user opened another module."""
        for section in self.sections:
            section.exit()

    def cleanup(self):
        """The module is unloaded or reloaded."""
        for section in self.sections:
            section.cleanup()
        self._setParameterNode(None)
        self.removeObservers()

    def _setParameterNode(self, parameterNode):
        self._parameterNode = parameterNode
        for section in self.sections:
            section.setParameterNode(parameterNode)

    def _onSceneStartsToClose(self, _caller, _event):
        self._setParameterNode(None)

    def _onSceneChanged(self, _caller, _event):
        # Also while another module is shown: the next scene's settings are there when the user comes back.
        self.initializeParameterNode()


class CTSliceLocalizerLogic(ScriptedLoadableModuleLogic):
    """What the panel's buttons do, one method each, for scripts as well. Points are RAS mm in the world."""

    def getParameterNode(self):
        """The settings of the panel as a ``CTSliceLocalizerParameterNode``."""
        from CTSliceLocalizerPanel.parameters import CTSliceLocalizerParameterNode

        return CTSliceLocalizerParameterNode(super().getParameterNode())

    # Locate

    def locate(self, volumeNode, progress=None, modelFile="", useLiteRT=False):
        """Say for every slice of a volume where in the body it lies; the result is kept in the scene.

        Args:
            volumeNode: a CT in HU.
            progress: called with done, total and a text; False cancels.
            modelFile: a model's .npz; empty for the shipped model.
            useLiteRT: whether to use LiteRT, which is faster and has to be installed.

        Returns:
            CTSliceLocalizerLib.results.ScanLocation: z_mm, location, sigma of each slice; landmarks; flags; refused.

        Raises:
            CTVolumeLib.errors.CTError: with a sentence for the user.
        """
        from CTSliceLocalizerPanel import locating

        return locating.locate(volumeNode, progress, modelFile, useLiteRT)

    def location(self, volumeNode):
        """The ScanLocation that is kept for a volume; None where it was not located, or changed since."""
        from CTSliceLocalizerPanel import location_nodes

        return location_nodes.locationOf(volumeNode)

    def clearLocation(self, volumeNode):
        """Remove a volume's locations with their nodes."""
        from CTSliceLocalizerPanel import location_nodes

        location_nodes.clearLocation(volumeNode)

    def goToLandmark(self, volumeNode, name):
        """Move the slice views to a landmark; its RAS point, or None where the scan doesn't show it."""
        from CTSliceLocalizerPanel import locating, location_nodes

        location, axis = location_nodes.locationOf(volumeNode), location_nodes.axisOf(volumeNode)
        landmark = location.landmark(name) if location is not None else None
        if landmark is None or not landmark.inside:
            return None
        point = axis.pointAt(landmark.z_mm)
        locating.goTo(volumeNode, point)
        return point

    def placeOfSlice(self, volumeNode, pointRas):
        """Where in the body the slice lies that holds a point: (location, sigma, words); None outside the scan."""
        from CTSliceLocalizerPanel import location_nodes

        axis = location_nodes.axisOf(volumeNode)
        return None if axis is None else location_nodes.placeAt(volumeNode, axis.heightOf(pointRas))

    def placeInView(self, volumeNode, sliceNode):
        """Where a slice view cuts a volume: (z in mm, place as of placeOfSlice, or None outside the scan).

        Returns:
            None for views along the body, such as sagittal ones, and volumes that are not located.
        """
        from CTSliceLocalizerPanel import locating

        return locating.placeInView(volumeNode, sliceNode)

    def showPlot(self, volumeNode):
        """Show location against height beside the slice views; False where the chart is gone."""
        from CTSliceLocalizerPanel import locating

        return locating.showPlot(volumeNode)

    def showTable(self, volumeNode):
        """Show the location of every slice as a table beside the slice views; False where the table is gone."""
        from CTSliceLocalizerPanel import locating

        return locating.showTable(volumeNode)

    def installLiteRT(self):
        """Install the faster engine after asking; CTError where it can't be had."""
        from CTSliceLocalizerPanel import faster_engine

        faster_engine.install()

    # Follow up

    # Annotate

    # Train


class CTSliceLocalizerTest(ScriptedLoadableModuleTest):
    """Inside Slicer, offline: on the phantom and the sample scan, with the shipped model."""

    def setUp(self):
        """Start from an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self):
        """Called by Reload & Test."""
        for name in sorted(dir(self)):
            if name.startswith("test"):
                self.setUp()
                getattr(self, name)()

    def test_locate(self):
        """The sample scan is a chest, and its landmarks are in order."""
        node = _sampleNode("CTChestSample")
        location = CTSliceLocalizerLogic().locate(node)
        assert location.refused is None
        heights = [landmark.z_mm for landmark in location.landmarks if landmark.inside]
        assert len(heights) > 4
        assert heights == sorted(heights, reverse=True)


def _sampleNode(name):
    """A sample scan of the extension as a volume node."""
    from CTVolumeLib import dicom, samples, scene

    return scene.node_from_volume(dicom.read(samples.sample(name).path), name)


def _sections():
    """The sections of the panel from top to bottom."""
    import importlib

    found = []
    for name, section in (
        ("locate_section", "LocateSection"),
        ("followup_section", "FollowUpSection"),
        ("annotate_section", "AnnotateSection"),
        ("train_section", "TrainSection"),
    ):
        try:
            found.append(getattr(importlib.import_module(f"CTSliceLocalizerPanel.{name}"), section))
        except ModuleNotFoundError as error:
            if error.name != f"CTSliceLocalizerPanel.{name}":
                raise
    return found
