"""What the sections share that work on a chosen scan and its segmentation, and the one that has the main button.

Their parameter node has ``inputVolume`` and ``outputSegmentation``.
"""

from __future__ import annotations

import logging

import qt
import slicer
import slicer.util
import vtk
from slicer.i18n import tr as _

from .section import PanelSection

log = logging.getLogger(__name__)


class ScanSection(PanelSection):
    """Base of the sections.

    Attributes:
        problem: a sentence that ``refresh`` shows, or nothing.
    """

    problem = ""
    _attempting = False

    @property
    def volume(self):
        """The scan that is chosen, or None."""
        return self.parameterNode.inputVolume if self.parameterNode is not None else None

    @property
    def segmentation(self):
        """The segmentation that is chosen, or None."""
        return self.parameterNode.outputSegmentation if self.parameterNode is not None else None

    def enter(self) -> None:
        """The module is shown."""
        self.refresh()

    def exit(self) -> None:
        """Another module is shown."""
        self.removeTemporaryView()

    def cleanup(self) -> None:
        """The module is unloaded or reloaded."""
        self.exit()
        self.setParameterNode(None)
        self.removeObservers()

    def refresh(self) -> None:
        """Bring all widgets into line with the scene."""

    def removeTemporaryView(self) -> None:
        """Take away what the section shows in the views for a moment only."""

    def attempt(self, action, *args, **named):
        """Call a method of the logic; its problem is said in the panel. None where it failed."""
        from CTVolumeLib.errors import CTError

        self.problem, self._attempting = "", True
        try:
            return action(*args, **named)
        except CTError as error:
            self.problem = _("Cancelled: all is as before.") if error.code == "cancelled" else str(error)
        except Exception as error:  # the panel goes on; the log tells the rest
            log.exception("%s failed", action.__name__)
            self.problem = _("This failed ({kind}): the error log tells more. Try another volume.").format(
                kind=type(error).__name__
            )
        finally:
            self._attempting = False
            self.widget.refresh()
        return None

    def _onParametersModified(self, _caller=None, _event=None) -> None:
        self.refresh()


class ApplySection(ScanSection):
    """Base of the section with the main button, which turns a scan into segments with progress and Cancel.

    Its form has ``inputWidget`` around the inputs, ``applyButton``, ``progressBar``, ``cancelButton``, ``messageLabel``
    and ``resultWidget``.

    Attributes:
        owner: tag of the module's segments, see ``CTVolumeLib.scene_segments``.
    """

    owner = ""

    def __init__(self, widget, uiFile: str, title: str, toolTip: str) -> None:
        super().__init__(widget, uiFile, title, toolTip, collapsed=False)
        self._running = self._cancelled = self._closed = self._entered = self._refreshComes = False
        self._observedVolume = self._observedSegmentation = None
        self._layoutBefore = None
        self.ui.applyButton.connect("clicked()", self.onApply)
        self.ui.cancelButton.connect("clicked()", self.onCancel)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self._onSceneGoes)
        self.addObserver(scene, scene.NodeRemovedEvent, self._onNodeRemoved)

    def run(self, parameters, progress):
        """Call the logic with the settings; what is returned has a ``segmentationNode``."""
        raise NotImplementedError

    def setParameterNode(self, parameterNode) -> None:
        """Show another parameter node; None while the scene closes."""
        super().setParameterNode(parameterNode)
        if parameterNode is not None:
            self._takeShownVolume()

    def enter(self) -> None:
        """Start with the volume that the views show."""
        self._entered = True
        for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            if not self.hasObserver(composite, vtk.vtkCommand.ModifiedEvent, self._onViewModified):
                self.addObserver(composite, vtk.vtkCommand.ModifiedEvent, self._onViewModified)
        self._takeShownVolume()
        super().enter()

    def exit(self) -> None:
        """Don't follow the views any more."""
        self._entered = False
        self.removeObservers(self._onViewModified)
        super().exit()

    def cleanup(self) -> None:
        """Drop the observers; a run that is under way ends at its next step."""
        self._closed = self._cancelled = True
        super().cleanup()

    def onApply(self) -> None:
        """Run with progress and Cancel in the panel."""
        parameters = self.parameterNode
        if self._running or parameters is None or parameters.inputVolume is None:
            return
        self.widget.removeTemporaryViews()
        done = self.attemptWithProgress(self.run, parameters, self._onProgress)
        if self._closed:
            return
        if done is not None and self.parameterNode is not None:
            self.parameterNode.outputSegmentation = done.segmentationNode
        self.widget.refresh()

    def attemptWithProgress(self, action, *args):
        """Call what takes long, with progress and Cancel in the panel; None where it failed."""
        self._running, self._cancelled = True, False
        self._showProgress()
        try:
            return self.attempt(action, *args)
        finally:
            self._running = False
            if not self._closed:
                self._showProgress()

    def onCancel(self) -> None:
        """Stop at the next step of the run."""
        self._cancelled = True

    # What the scene says

    def _onParametersModified(self, _caller=None, _event=None) -> None:
        volume = self.volume
        if volume is not self._observedVolume:
            self._observedVolume = volume
            self.problem = ""
            self.widget.removeTemporaryViews()
            self._takeItsSegmentation()
        if self.segmentation is not self._observedSegmentation:
            self._observe(self.segmentation)
        self.refresh()

    def _takeItsSegmentation(self) -> None:
        """With another scan the result of the scan before must not be replaced."""
        from CTVolumeLib import scene_segments

        parameters = self.parameterNode
        if parameters is None or parameters.inputVolume is None:
            return
        chosen = parameters.outputSegmentation
        if chosen is None or scene_segments.has_segments(chosen, self.owner):
            parameters.outputSegmentation = scene_segments.segmentation_of(parameters.inputVolume, self.owner)

    def _takeShownVolume(self) -> None:
        """Start with the volume in the slice views, as long as none was chosen."""
        parameters = self.parameterNode
        if parameters is None or parameters.inputVolume is not None:
            return
        for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            node = slicer.mrmlScene.GetNodeByID(composite.GetBackgroundVolumeID() or "")
            if node is not None and node.GetClassName() == "vtkMRMLScalarVolumeNode":
                parameters.inputVolume = node
                return

    def _observe(self, segmentationNode) -> None:
        self.removeObservers(self._onSegmentsModified)
        self._observedSegmentation = segmentationNode
        if segmentationNode is not None:
            kinds = slicer.vtkSegmentation
            edits = (kinds.SourceRepresentationModified, kinds.SegmentModified)  # the latter alone by undo
            for event in (*edits, kinds.SegmentAdded, kinds.SegmentRemoved):
                self.addObserver(segmentationNode, event, self._onSegmentsModified)

    def _onViewModified(self, _caller, _event) -> None:
        self._takeShownVolume()

    def _onSegmentsModified(self, _caller, _event) -> None:
        if not self._attempting and not self._refreshComes:  # the end of an attempt refreshes by itself
            self._refreshComes = True
            qt.QTimer.singleShot(0, self._refreshOnce)

    def _refreshOnce(self) -> None:
        """Measure once for all changes, and when they are done: undo goes through segments without voxels."""
        self._refreshComes = False
        if self._entered:
            self.refresh()

    def _onSceneGoes(self, _caller, _event) -> None:
        self._cancelled = True
        self.widget.removeTemporaryViews()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeRemoved(self, _caller, _event, node) -> None:
        if node is self._observedVolume:
            self._cancelled = True
            self.widget.removeTemporaryViews()

    # What the widgets show

    def _onProgress(self, done: int, total: int, text: str) -> bool:
        self.ui.progressBar.maximum = total
        self.ui.progressBar.value = done
        self.ui.progressBar.format = f"{text} %p%"
        slicer.app.processEvents()
        return not self._cancelled

    def _showProgress(self) -> None:
        """The bar with Cancel while running; all that would change the input is off meanwhile."""
        ui = self.ui
        ui.progressBar.value = 0
        ui.progressBar.visible = ui.cancelButton.visible = self._running
        for control in (ui.inputWidget, ui.applyButton, ui.resultWidget):
            control.enabled = not self._running
        self.widget.setOthersEnabled(self, not self._running)
        if self._running:
            ui.messageLabel.visible = False
            slicer.app.processEvents()

    def _show(self, show, *args) -> None:
        """Call a method of the logic that may change the layout; ``_restoreLayout`` takes that back."""
        manager = slicer.app.layoutManager()
        before = manager.layout if manager is not None else None
        self.attempt(show, *args)
        if self._layoutBefore is None and manager is not None and manager.layout != before:
            self._layoutBefore = before

    def _restoreLayout(self) -> None:
        if self._layoutBefore is not None and slicer.app.layoutManager() is not None:
            slicer.app.layoutManager().setLayout(self._layoutBefore)
        self._layoutBefore = None
