"""The section Remove: from a scan to the scan without headrest and table, what was removed, before and after."""

from __future__ import annotations

import qt
import slicer
import vtk
from CTVolumePanel import result_tables
from CTVolumePanel.scan_section import ApplySection
from CTVolumePanel.section import warning
from slicer.i18n import tr as _

from . import cleaned_scan, comparing, removing, result_views
from .parameters import METHODS, NUMBER, fillOf
from .report_text import exportText, reportText

_KINDS = 4
"""Rows of the table: headrest, table, other equipment, all of it."""


class RemoveSection(ApplySection):
    """Widgets of Remove; what they show is read from the scene by ``refresh``."""

    owner = removing.OWNER
    _exported = ""

    def __init__(self, widget) -> None:
        super().__init__(
            widget,
            "Remove.ui",
            _("Remove headrest and table"),
            _("Take headrest, table and other equipment out of a CT scan."),
        )
        self._setUpWidgets()

    def guiMapping(self) -> dict:
        """Widgets by the names of their settings."""
        ui = self.ui
        return {
            "inputVolume": ui.inputSelector,
            "outputSegmentation": ui.outputSelector,
            "fillHu": ui.fillSpinBox,
        }

    def run(self, parameters, progress):
        """Find the equipment and make the cleaned scan."""
        self._exported = ""
        return self.logic.remove(
            parameters.inputVolume,
            parameters.outputSegmentation,
            METHODS[parameters.methodIndex],
            fillOf(parameters),
            progress,
        )

    # Buttons

    def onMethod(self, index: int) -> None:
        """How equipment is found."""
        if self.parameterNode is not None:
            self.parameterNode.methodIndex = index

    def onFill(self, index: int) -> None:
        """What it becomes."""
        if self.parameterNode is not None:
            self.parameterNode.fillIndex = index

    def onBefore(self) -> None:
        """Show the scan."""
        self.attempt(self.logic.showCleaned, self.volume, self.segmentation, False)

    def onAfter(self) -> None:
        """Show the cleaned scan."""
        self.attempt(self.logic.showCleaned, self.volume, self.segmentation, True)

    def onRendering(self) -> None:
        """Show or end the rendering in the 3D view."""
        self._show(self.logic.show3D, self.volume, self.ui.renderingCheckBox.checked)

    def onClean(self) -> None:
        """Make the cleaned scan of the segments as they are now."""
        self.attempt(self.logic.clean, self.volume, self.segmentation, fillOf(self.parameterNode))

    def onContact(self) -> None:
        """Go to where the equipment touches the patient."""
        self.attempt(self.logic.showContact, self.volume, self.segmentation)

    def onTable(self) -> None:
        """Show the measures as a table beside the views."""
        self._show(self.logic.showTable, self.volume, self.segmentation)

    def onExport(self) -> None:
        """Write the cleaned scan as a DICOM series into a folder that is asked for."""
        folder = qt.QFileDialog.getExistingDirectory(self.ui.exportButton, _("Folder for the DICOM series"), "")
        if not folder:
            return
        arguments = (self.volume, self.segmentation, folder, fillOf(self.parameterNode), self._onProgress)
        series = self.attemptWithProgress(self.logic.exportDicom, *arguments)
        if self._closed:
            return
        self._exported = exportText(series) if series is not None else ""
        self.widget.refresh()

    def onClear(self) -> None:
        """Remove segments and cleaned scan, and go back to the layout from before."""
        self.attempt(self.logic.clear, self.volume, self.segmentation)
        self._restoreLayout()

    # What the widgets show

    def _setUpWidgets(self) -> None:
        ui = self.ui
        for selector, entries in ((ui.methodSelector, _methods()), (ui.fillSelector, _fills())):
            for title, words in entries:
                selector.addItem(title)
                selector.setItemData(selector.count - 1, words, qt.Qt.ToolTipRole)
        ui.methodSelector.connect("currentIndexChanged(int)", self.onMethod)
        ui.fillSelector.connect("currentIndexChanged(int)", self.onFill)
        ui.beforeButton.connect("clicked()", self.onBefore)
        ui.afterButton.connect("clicked()", self.onAfter)
        ui.renderingCheckBox.connect("clicked()", self.onRendering)
        ui.cleanButton.connect("clicked()", self.onClean)
        ui.contactButton.connect("clicked()", self.onContact)
        ui.tableButton.connect("clicked()", self.onTable)
        ui.exportButton.connect("clicked()", self.onExport)
        ui.clearButton.connect("clicked()", self.onClear)
        result_tables.setUp(ui.measureTable, result_views.TITLES, _KINDS)

    def _onViewModified(self, caller, event) -> None:
        super()._onViewModified(caller, event)
        self._showTurn()

    def _onParametersModified(self, _caller=None, _event=None) -> None:
        if self.volume is not self._observedVolume:
            self._exported = ""
        super()._onParametersModified()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeRemoved(self, caller, event, node) -> None:
        super()._onNodeRemoved(caller, event, node)
        if node.IsA("vtkMRMLScalarVolumeNode") and not slicer.mrmlScene.IsClosing():
            comparing.removeOrphans(slicer.mrmlScene)
            if self._entered and not self._attempting:  # the cleaned scan, perhaps
                self.refresh()

    def refresh(self) -> None:
        """Bring all widgets into line with the scene."""
        if self._running or self._closed:
            return
        ui, volume, segmentation = self.ui, self.volume, self.segmentation
        self._showSettings()
        ui.applyButton.enabled = volume is not None
        ui.applyButton.toolTip = (
            _("Find headrest, table and other equipment, and make a copy of the scan without them.")
            if volume is not None
            else _("Choose a scan first.")
        )
        has = volume is not None and removing.hasEquipment(segmentation)
        ui.resultWidget.visible = has
        problem = self._showResult() if has else ""
        problem = self.problem or problem
        ui.messageLabel.text = warning(problem) if problem else ""
        ui.messageLabel.visible = bool(problem)

    def _showSettings(self) -> None:
        ui, parameters = self.ui, self.parameterNode
        if parameters is not None:
            ui.methodSelector.currentIndex = parameters.methodIndex
            ui.fillSelector.currentIndex = parameters.fillIndex
            ui.fillSpinBox.visible = parameters.fillIndex == NUMBER

    def _showTurn(self) -> None:
        """Which of the two the views show."""
        ui, volume = self.ui, self.volume
        has = volume is not None and cleaned_scan.nodeOf(volume) is not None
        for control in (ui.beforeButton, ui.afterButton, ui.renderingCheckBox):
            control.enabled = has
        cleaned = has and comparing.showsCleaned(volume)
        (ui.afterButton if cleaned else ui.beforeButton).checked = True
        ui.renderingCheckBox.checked = volume is not None and comparing.shows3D(volume)

    def _showResult(self) -> str:
        """Fill in what was removed, as it is now; a sentence where that fails."""
        from CTVolumeLib.errors import CTError

        ui, report = self.ui, removing.reportOf(self.segmentation)
        self._showTurn()
        ui.exportLabel.text = self._exported
        ui.exportLabel.visible = bool(self._exported)
        ui.contactButton.visible = report is not None and bool(report.contactIjk)
        try:
            measured = self.logic.measure(self.volume, self.segmentation)
        except CTError as error:
            ui.reportLabel.text = ""
            return str(error)
        current = removing.isCurrent(self.volume, self.segmentation, fillOf(self.parameterNode))
        ui.cleanButton.enabled = not current
        ui.reportLabel.text = reportText(report, measured, _nameOf(self.logic.cleaned(self.volume)), current=current)
        for row, one in enumerate(measured):
            result_tables.setRow(ui.measureTable, row, result_views.textsOf(one), result_views.EXPLANATION)
            color = result_views.colorOf(self.segmentation, one)
            if color is not None:
                ui.measureTable.item(row, 0).setData(qt.Qt.DecorationRole, qt.QColor(*color))
        return ""


def _methods() -> tuple[tuple[str, str], ...]:
    """Title and explanation of each method, in the order of ``parameters.METHODS``."""
    return (
        (_("Automatic"), _("The one of the three that measured best in the worst case.")),
        (_("Clustering"), _("By density, connected parts, place and shape; the fastest.")),
        (_("Neural network"), _("By the shipped network, which runs without anything to install.")),
        (_("Both"), _("Clustering; then the network finds large dense pads that it took for the patient.")),
    )


def _fills() -> tuple[tuple[str, str], ...]:
    """Title and explanation of each way to fill, in the order of ``parameters.fillOf``."""
    return (
        (_("Air (-1000 HU)"), _("Air by definition.")),
        (
            _("Air as measured"),
            _("The air that the scan shows around the patient."),
        ),
        (_("Other:"), _("The value beside it.")),
    )


def _nameOf(node) -> str:
    return node.GetName() if node is not None else ""
