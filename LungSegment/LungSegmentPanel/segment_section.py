"""The section Segment: from a scan to its lungs, the light, and what is measured."""

from __future__ import annotations

import math

import qt
import slicer
import slicer.util
import vtk
from CTVolumePanel.section import warning
from slicer.i18n import tr as _

from . import result_views, segmenting
from .light_text import lightText
from .lung_section import LungSection

_ROW_HEIGHT = 19


class SegmentSection(LungSection):
    """Widgets of Segment; what they show is read from the scene by ``refresh``."""

    def __init__(self, widget) -> None:
        super().__init__(
            widget, "Segment.ui", _("Segment"), _("Find the lungs, with a light that says when not to trust them."),
            collapsed=False,
        )  # fmt: skip
        self._running = self._cancelled = self._closed = self._entered = False
        self._preview = None
        self._observedVolume = self._observedSegmentation = None
        self._layoutBefore = None
        self._setUpWidgets()
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self._onSceneGoes)
        self.addObserver(scene, scene.NodeRemovedEvent, self._onNodeRemoved)

    def guiMapping(self) -> dict:
        """Widgets by the names of their settings."""
        ui = self.ui
        return {
            "inputVolume": ui.inputSelector,
            "outputSegmentation": ui.outputSelector,
            "thresholdHu": ui.thresholdSlider,
            "closingMm": ui.closingSpinBox,
        }

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
        """Take the preview away."""
        self._entered = False
        self.removeObservers(self._onViewModified)
        super().exit()

    def removeTemporaryView(self) -> None:
        """End the preview."""
        self.ui.previewCheckBox.checked = False
        self._removePreview()

    def cleanup(self) -> None:
        """Drop the observers; a run that is under way ends at its next step."""
        self._closed = self._cancelled = True
        super().cleanup()

    # Buttons

    def onApply(self) -> None:
        """Run Logic.segment with progress and Cancel in the panel."""
        parameters = self.parameterNode
        if self._running or parameters is None or parameters.inputVolume is None:
            return
        self.widget.removeTemporaryViews()
        self._running, self._cancelled = True, False
        self._showProgress()
        try:
            done = self.attempt(
                self.logic.segment,
                parameters.inputVolume,
                parameters.outputSegmentation,
                parameters.thresholdHu,
                parameters.closingMm,
                self._onProgress,
            )
        finally:
            self._running = False
        if self._closed:
            return
        if done is not None and self.parameterNode is not None:
            self.parameterNode.outputSegmentation = done.segmentationNode
        self._showProgress()
        self.widget.refresh()

    def onCancel(self) -> None:
        """Stop at the next step of the run."""
        self._cancelled = True

    def onPreview(self, _checked=None) -> None:
        """Show what is darker than the threshold, or stop it."""
        if self.ui.previewCheckBox.checked and self.volume is not None:
            self.widget.removeTemporaryViews(but=self)
            self._preview = self._preview or self.logic.previewThreshold(self.volume, self.parameterNode.thresholdHu)
        else:
            self._removePreview()

    def onTable(self) -> None:
        """Show the measures as a table beside the views."""
        self._show(self.logic.showTable, self.volume, self.segmentation)

    def onHistogram(self) -> None:
        """Show the histogram beside the views."""
        self._show(self.logic.showHistogram, self.volume, self.segmentation)

    def onSurface(self) -> None:
        """Show or hide the surface."""
        self._show(self.logic.show3D, self.segmentation, self.ui.surfaceButton.checked)

    def onDifference(self) -> None:
        """Add or remove the segment with what is dense in the lungs."""
        if self.ui.differenceButton.checked:
            self.attempt(self.logic.showDifference, self.volume, self.segmentation, self.parameterNode.thresholdHu)
        else:
            self.attempt(self.logic.hideDifference, self.segmentation)

    def onClear(self) -> None:
        """Remove the lungs and what was made of them, and go back to the layout from before."""
        self.attempt(self.logic.clear, self.volume, self.segmentation)
        if self._layoutBefore is not None and slicer.app.layoutManager() is not None:
            slicer.app.layoutManager().setLayout(self._layoutBefore)
        self._layoutBefore = None

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
        if self._preview is not None:
            self._preview.setThreshold(self.parameterNode.thresholdHu)
        self.refresh()

    def _takeItsSegmentation(self) -> None:
        """With another scan the lungs of the scan before must not be replaced."""
        parameters = self.parameterNode
        if parameters is None or parameters.inputVolume is None:
            return
        chosen = parameters.outputSegmentation
        if chosen is None or segmenting.hasLungs(chosen):
            parameters.outputSegmentation = segmenting.lungsOf(parameters.inputVolume)

    def _observe(self, segmentationNode) -> None:
        self.removeObservers(self._onSegmentsModified)
        self._observedSegmentation = segmentationNode
        if segmentationNode is not None:
            kinds = slicer.vtkSegmentation
            for event in (kinds.SourceRepresentationModified, kinds.SegmentAdded, kinds.SegmentRemoved):
                self.addObserver(segmentationNode, event, self._onSegmentsModified)

    def _onViewModified(self, _caller, _event) -> None:
        self._takeShownVolume()

    def _onSegmentsModified(self, _caller, _event) -> None:
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

    def _setUpWidgets(self) -> None:
        ui = self.ui
        ui.applyButton.connect("clicked()", self.onApply)
        ui.cancelButton.connect("clicked()", self.onCancel)
        ui.previewCheckBox.connect("toggled(bool)", self.onPreview)
        ui.tableButton.connect("clicked()", self.onTable)
        ui.histogramButton.connect("clicked()", self.onHistogram)
        ui.surfaceButton.connect("clicked()", self.onSurface)
        ui.differenceButton.connect("clicked()", self.onDifference)
        ui.clearButton.connect("clicked()", self.onClear)
        table = ui.measureTable
        table.setColumnCount(4)
        table.setHorizontalHeaderLabels([_("Measure"), _("Left"), _("Right"), _("Both")])
        table.setRowCount(len(result_views.ROWS))
        table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        table.horizontalHeader().setSectionResizeMode(0, qt.QHeaderView.Stretch)
        table.verticalHeader().setVisible(False)
        table.verticalHeader().setMinimumSectionSize(_ROW_HEIGHT)
        table.verticalHeader().setDefaultSectionSize(_ROW_HEIGHT)
        table.setFixedHeight((len(result_views.ROWS) + 1) * _ROW_HEIGHT + 8)

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

    def _removePreview(self) -> None:
        if self._preview is not None:
            self._preview.remove()
            self._preview = None

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
        manager = slicer.app.layoutManager()
        before = manager.layout if manager is not None else None
        self.attempt(show, *args)
        if self._layoutBefore is None and manager is not None and manager.layout != before:
            self._layoutBefore = before

    def refresh(self) -> None:
        """Bring all widgets into line with the scene."""
        if self._running or self._closed:
            return
        ui, volume, segmentation = self.ui, self.volume, self.segmentation
        ui.applyButton.enabled = ui.previewCheckBox.enabled = volume is not None
        ui.applyButton.toolTip = _("Find the lungs.") if volume is not None else _("Choose a scan first.")
        has = volume is not None and segmenting.hasLungs(segmentation)
        light = segmenting.lightOf(segmentation) if has else None
        ui.lightLabel.text = lightText(light) if light is not None else ""
        ui.lightLabel.visible = light is not None
        problem = self._fillTable() if has else ""
        problem = self.problem or problem
        ui.resultWidget.visible = has
        ui.messageLabel.text = warning(problem) if problem else ""
        ui.messageLabel.visible = bool(problem)
        ui.surfaceButton.checked = has and result_views.shows3D(segmentation)
        ui.differenceButton.checked = has and segmenting.hasDense(segmentation)

    def _fillTable(self) -> str:
        """Fill in the measures of the lungs as they are now; a sentence where that fails."""
        from CTVolumeLib.errors import CTError

        try:
            measured = self.logic.measure(self.volume, self.segmentation)
        except CTError as error:
            return str(error)
        table = self.ui.measureTable
        for row, (title, field, decimals, words) in enumerate(result_views.ROWS):
            values = [getattr(one, field) for one in measured]
            texts = [title, *("\u2013" if math.isnan(value) else f"{value:.{decimals}f}" for value in values)]
            for column, text in enumerate(texts):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(words)
                if column:
                    item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
                table.setItem(row, column, item)
        return ""
