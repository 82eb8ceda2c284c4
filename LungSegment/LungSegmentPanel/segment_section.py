"""The section Segment: from a scan to its lungs, the light, and what is measured."""

from __future__ import annotations

import math

from CTVolumePanel import result_tables
from CTVolumePanel.scan_section import ApplySection
from CTVolumePanel.section import warning
from slicer.i18n import tr as _

from . import result_views, segmenting
from .light_text import lightText


class SegmentSection(ApplySection):
    """Widgets of Segment; what they show is read from the scene by ``refresh``."""

    owner = segmenting.OWNER

    def __init__(self, widget) -> None:
        super().__init__(
            widget, "Segment.ui", _("Segment"), _("Find the lungs, with a light that says when not to trust them.")
        )
        self._preview = None
        self._setUpWidgets()

    def guiMapping(self) -> dict:
        """Widgets by the names of their settings."""
        ui = self.ui
        return {
            "inputVolume": ui.inputSelector,
            "outputSegmentation": ui.outputSelector,
            "thresholdHu": ui.thresholdSlider,
            "closingMm": ui.closingSpinBox,
        }

    def removeTemporaryView(self) -> None:
        """End the preview."""
        self.ui.previewCheckBox.checked = False
        self._removePreview()

    def run(self, parameters, progress):
        """Find the lungs."""
        return self.logic.segment(
            parameters.inputVolume,
            parameters.outputSegmentation,
            parameters.thresholdHu,
            parameters.closingMm,
            progress,
        )

    # Buttons

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
        self._restoreLayout()

    def _onParametersModified(self, _caller=None, _event=None) -> None:
        super()._onParametersModified()
        if self._preview is not None:
            self._preview.setThreshold(self.parameterNode.thresholdHu)

    # What the widgets show

    def _setUpWidgets(self) -> None:
        ui = self.ui
        ui.previewCheckBox.connect("toggled(bool)", self.onPreview)
        ui.tableButton.connect("clicked()", self.onTable)
        ui.histogramButton.connect("clicked()", self.onHistogram)
        ui.surfaceButton.connect("clicked()", self.onSurface)
        ui.differenceButton.connect("clicked()", self.onDifference)
        ui.clearButton.connect("clicked()", self.onClear)
        titles = [_("Measure"), _("Left"), _("Right"), _("Both")]
        result_tables.setUp(ui.measureTable, titles, len(result_views.ROWS))

    def _removePreview(self) -> None:
        if self._preview is not None:
            self._preview.remove()
            self._preview = None

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
        for row, (title, field, decimals, words) in enumerate(result_views.ROWS):
            values = [getattr(one, field) for one in measured]
            texts = [title, *("\u2013" if math.isnan(value) else f"{value:.{decimals}f}" for value in values)]
            result_tables.setRow(self.ui.measureTable, row, texts, words)
        return ""
