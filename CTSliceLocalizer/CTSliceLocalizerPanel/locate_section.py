"""The section Locate: from a scan to the location of every slice and its landmarks."""

from __future__ import annotations

import logging

import qt
import slicer
import slicer.util
import vtk
from CTVolumePanel.section import PanelSection, followPath, warning
from slicer.i18n import tr as _

from . import location_nodes

_COLUMNS = ("Landmark", "z ± SD (mm)")
_ROW_HEIGHT = 19

log = logging.getLogger(__name__)


class LocateSection(PanelSection):
    """Widgets of Locate; what they show is read from the scene by ``_refresh``."""

    def __init__(self, widget) -> None:
        super().__init__(
            widget,
            "Locate.ui",
            _("Locate"),
            _("Where in the body is this slice? Location of every slice, 12 landmarks."),
            collapsed=False,
        )
        self._observedVolume = None
        self._problem = ""
        self._running = self._cancelled = self._entered = self._closed = False
        self._layoutBefore = None
        self._setUpWidgets()
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.NodeAddedEvent, self._onNodeAdded)
        self.addObserver(scene, scene.NodeRemovedEvent, self._onNodeRemoved)
        self.addObserver(scene, scene.StartCloseEvent, self._onSceneStartsToClose)

    def guiMapping(self) -> dict:
        """The parameters that widgets show and change, by name."""
        return {"inputVolume": self.ui.inputSelector, "useLiteRT": self.ui.liteRTCheckBox}

    def setParameterNode(self, parameterNode) -> None:
        """Show another parameter node; None while the scene closes."""
        super().setParameterNode(parameterNode)
        if parameterNode is not None:
            self._takeShownVolume()

    def enter(self) -> None:
        """Follow the slice views, and start with the volume that they show."""
        self._entered = True
        for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            self._follow(node)
        self._takeShownVolume()
        self._refresh()

    def exit(self) -> None:
        """Stop following the slice views."""
        self._entered = False
        self.removeObservers(self._onSliceModified)

    def cleanup(self) -> None:
        """Drop the observers; a run that is under way ends at its next step."""
        self._closed = self._cancelled = True
        self.setParameterNode(None)
        self.removeObservers()

    # Buttons

    def onLocate(self) -> None:
        """Run Logic.locate with progress and Cancel in the panel."""
        from CTVolumeLib.errors import CTError

        parameters = self.parameterNode
        if self._running or parameters is None or parameters.inputVolume is None:
            return
        self._running, self._cancelled, self._problem = True, False, ""
        self._showProgress()
        try:
            self.logic.locate(parameters.inputVolume, self._onProgress, parameters.modelFile, parameters.useLiteRT)
        except CTError as error:
            self._problem = _("Cancelled.") if error.code == "cancelled" else str(error)
        except Exception as error:  # the panel goes on; the log tells the rest
            log.exception("Locate failed")
            self._problem = _("Locate failed ({kind}): the error log tells more. Try another volume or model.").format(
                kind=type(error).__name__
            )
        finally:
            self._running = False
        if not self._closed:
            self._showProgress()
            self._refresh()

    def onCancel(self) -> None:
        """Stop at the next step of the run."""
        self._cancelled = True

    def onClear(self) -> None:
        """Remove the result, and go back to the layout from before Show plot or Show table."""
        self._problem = ""
        self.logic.clearLocation(self.parameterNode.inputVolume)
        if self._layoutBefore is not None and slicer.app.layoutManager() is not None:
            slicer.app.layoutManager().setLayout(self._layoutBefore)
        self._layoutBefore = None
        self._refresh()

    def onShowPlot(self) -> None:
        """Show the chart beside the views."""
        self._show(self.logic.showPlot)

    def onShowTable(self) -> None:
        """Show the table beside the views."""
        self._show(self.logic.showTable)

    def onLandmarkChosen(self) -> None:
        """Move the slice views to the landmark of the current row."""
        item = self.ui.landmarkTable.item(self.ui.landmarkTable.currentRow(), 0)
        if item is not None:
            self.logic.goToLandmark(self.parameterNode.inputVolume, item.text())

    def onModelChosen(self, index: int) -> None:
        """Shipped model or a file."""
        self.ui.modelPathEdit.visible = index == 1
        if self.parameterNode is not None:
            self.parameterNode.modelFile = self.ui.modelPathEdit.currentPath if index == 1 else ""

    def onModelPath(self, path: str) -> None:
        """Another model file."""
        if self.parameterNode is not None and self.ui.modelSelector.currentIndex == 1:
            self.parameterNode.modelFile = path

    def onLiteRT(self) -> None:
        """Install LiteRT where it is missing; without it the box is off again."""
        from CTVolumeLib.errors import CTError

        if not self.ui.liteRTCheckBox.checked:
            return
        try:
            self.logic.installLiteRT()
            self._problem = ""
        except CTError as error:
            self._problem = str(error)
            self.ui.liteRTCheckBox.checked = False
        self._refresh()

    # What the scene says

    def _onParametersModified(self, _caller=None, _event=None) -> None:
        parameters = self.parameterNode
        volume = parameters.inputVolume if parameters is not None else None
        if volume is not self._observedVolume:
            self._problem = ""
            self._observe(volume)
        if parameters is not None:
            self._showModel(parameters.modelFile)
        self._refresh()

    def _showModel(self, path: str) -> None:
        # The path first: choosing the other entry takes over what stands there.
        if path:
            self.ui.modelPathEdit.currentPath = path
            self.ui.modelSelector.currentIndex = 1
        elif self.ui.modelPathEdit.currentPath:
            self.ui.modelSelector.currentIndex = 0

    def _observe(self, volume) -> None:
        self.removeObservers(self._onVolumeModified)
        self._observedVolume = volume
        if volume is not None:
            self.addObserver(volume, volume.ImageDataModifiedEvent, self._onVolumeModified)
            self.addObserver(volume, volume.TransformModifiedEvent, self._onVolumeModified)

    def _onVolumeModified(self, _caller, _event) -> None:
        if not self._running:
            self._refresh()

    def _onSceneStartsToClose(self, _caller, _event) -> None:
        self._cancelled = True

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeAdded(self, _caller, _event, node) -> None:
        if self._entered and node.IsA("vtkMRMLSliceNode"):
            self._follow(node)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeRemoved(self, _caller, _event, node) -> None:
        if node is self._observedVolume:
            self._cancelled = True
        # Hidden results are text nodes; without it the volume is no longer located.
        if not self._running and node.IsA("vtkMRMLTextNode"):
            self._refresh()

    def _follow(self, sliceNode) -> None:
        if not self.hasObserver(sliceNode, vtk.vtkCommand.ModifiedEvent, self._onSliceModified):
            self.addObserver(sliceNode, vtk.vtkCommand.ModifiedEvent, self._onSliceModified)

    def _onSliceModified(self, sliceNode, _event) -> None:
        if self._running or self.parameterNode is None:
            return
        if self.parameterNode.inputVolume is None:
            self._takeShownVolume()
        else:
            self._showCurrent(self.parameterNode.inputVolume, sliceNode)

    # What the widgets show

    def _setUpWidgets(self) -> None:
        ui = self.ui
        ui.locateButton.connect("clicked()", self.onLocate)
        ui.cancelButton.connect("clicked()", self.onCancel)
        ui.plotButton.connect("clicked()", self.onShowPlot)
        ui.tableButton.connect("clicked()", self.onShowTable)
        ui.clearButton.connect("clicked()", self.onClear)
        ui.landmarkTable.connect("itemSelectionChanged()", self.onLandmarkChosen)
        ui.landmarkTable.connect("cellClicked(int,int)", self.onLandmarkChosen)
        ui.modelSelector.connect("currentIndexChanged(int)", self.onModelChosen)
        followPath(ui.modelPathEdit, self.onModelPath)
        ui.liteRTCheckBox.connect("clicked()", self.onLiteRT)
        ui.modelPathEdit.visible = False
        ui.engineButton.collapsed = True
        table = ui.landmarkTable
        table.setColumnCount(len(_COLUMNS))
        table.setHorizontalHeaderLabels([_(title) for title in _COLUMNS])
        table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        table.horizontalHeader().setSectionResizeMode(0, qt.QHeaderView.Stretch)
        table.verticalHeader().setVisible(False)
        table.verticalHeader().setMinimumSectionSize(_ROW_HEIGHT)
        table.verticalHeader().setDefaultSectionSize(_ROW_HEIGHT)
        table.setFixedHeight(13 * _ROW_HEIGHT + 8)  # the heading and all twelve, without a scroll bar

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

    def _onProgress(self, done: int, total: int, text: str) -> bool:
        self.ui.progressBar.maximum = total
        self.ui.progressBar.value = done
        self.ui.progressBar.format = f"{text} %p%"
        slicer.app.processEvents()
        return not self._cancelled

    def _showProgress(self) -> None:
        """The bar with Cancel while running; all that would change the input is off meanwhile."""
        self.ui.progressBar.value = 0
        self.ui.progressBar.visible = self.ui.cancelButton.visible = self._running
        for control in (self.ui.inputSelector, self.ui.locateButton, self.ui.resultWidget, self.ui.engineButton):
            control.enabled = not self._running
        if self._running:
            self.ui.messageLabel.visible = False
            slicer.app.processEvents()

    def _show(self, show) -> None:
        manager = slicer.app.layoutManager()
        if self._layoutBefore is None and manager is not None:
            self._layoutBefore = manager.layout
        if not show(self.parameterNode.inputVolume):
            self._problem = _("These nodes were removed: press Locate again.")
            self._refresh()

    def _refresh(self) -> None:
        """Bring all widgets into line with the scene."""
        if self._running or self._closed:
            return
        parameters = self.parameterNode
        volume = parameters.inputVolume if parameters is not None else None
        self.ui.locateButton.enabled = volume is not None
        self.ui.locateButton.toolTip = (
            _("Say for every slice where in the body it lies, and find the landmarks.")
            if volume is not None
            else _("Choose a scan first.")
        )
        location = location_nodes.locationOf(volume)
        lines = [self._problem] if self._problem else []
        if location is None and volume is not None and location_nodes.nodesOf(volume) is not None:
            lines.append(location_nodes.whyNoLocation(volume))
        if location is not None:
            lines += [_("Refused: {reason}").format(reason=location.refused.text)] if location.refused else []
            lines += [flag.text for flag in location.flags]
        self.ui.messageLabel.text = "<br>".join(warning(line) for line in lines)
        self.ui.messageLabel.visible = bool(lines)
        self.ui.resultWidget.visible = location_nodes.nodesOf(volume) is not None
        located = location is not None and location.refused is None
        for control in (self.ui.landmarkTable, self.ui.plotButton, self.ui.tableButton, self.ui.coverageLabel):
            control.visible = located
        self.ui.currentLabel.visible = located
        if located:
            self.ui.coverageLabel.text = _("Covers {words}.").format(words=location.coverage.words)
            self._fillTable(location)
            for sliceNode in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
                self._showCurrent(volume, sliceNode)

    def _fillTable(self, location) -> None:
        from CTSliceLocalizerLib.landmarks import LANDMARKS

        table = self.ui.landmarkTable
        wasBlocked = table.blockSignals(True)
        table.setRowCount(len(location.landmarks))
        levels = {landmark.name: landmark.level for landmark in LANDMARKS}
        for row, landmark in enumerate(location.landmarks):
            texts = (
                (landmark.name, f"{landmark.z_mm:.1f} ± {landmark.sigma_mm:.0f}")
                if landmark.inside
                else (landmark.name, _("outside scan"))
            )
            for column, text in enumerate(texts):
                item = qt.QTableWidgetItem(text)
                if not landmark.inside:
                    item.setFlags(qt.Qt.NoItemFlags)
                table.setItem(row, column, item)
            table.item(row, 0).setToolTip(f"{landmark.name}: {levels[landmark.name]}")
        table.blockSignals(wasBlocked)

    def _showCurrent(self, volume, sliceNode) -> None:
        """Say where the slice of a view lies; views that cut along the body say nothing."""
        found = self.logic.placeInView(volume, sliceNode)
        if found is None:
            return
        _height, place = found
        if place is None:
            # Two lines as well: nothing below jumps while scrolling.
            self.ui.currentLabel.text = _("This slice lies outside the scan.") + "<br>"
            return
        self.ui.currentLabel.text = _(
            "This slice: <b>{words}</b><br>Location {location:.3f} ± {sigma:.3f} (0 vertex, 0.5 hip)"
        ).format(words=place.words, location=place.location, sigma=place.sigma)
