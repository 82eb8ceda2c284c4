"""The section Prepared volume: the scan as networks want it, as a new volume."""

from __future__ import annotations

from CTVolumePanel.scan_section import ScanSection
from CTVolumePanel.section import warning
from slicer.i18n import tr as _


class PrepareSection(ScanSection):
    """Widgets of Prepared volume."""

    def __init__(self, widget) -> None:
        super().__init__(
            widget,
            "Prepare.ui",
            _("Prepared volume"),
            _("Make a new volume: cropped to the lungs, with even spacing, values from 0 to 1."),
        )
        self._made = ""
        self.ui.makeButton.connect("clicked()", self.onMake)

    def guiMapping(self) -> dict:
        """Widgets by the names of their settings."""
        ui = self.ui
        return {
            "cropToLungs": ui.cropCheckBox,
            "cropMarginMm": ui.marginSpinBox,
            "resample": ui.resampleCheckBox,
            "spacingMm": ui.spacingSpinBox,
            "normalize": ui.normalizeCheckBox,
            "zeroCenter": ui.zeroCheckBox,
        }

    def onMake(self) -> None:
        """Make the volume."""
        given = self.parameterNode
        self._made = ""
        node = self.attempt(
            self.logic.preprocess,
            self.volume,
            self.segmentation,
            cropMarginMm=given.cropMarginMm if given.cropToLungs else None,
            spacingMm=given.spacingMm if given.resample else None,
            normalize=given.normalize,
            zeroCenter=given.zeroCenter,
        )
        if node is not None:
            size = " x ".join(str(count) for count in node.GetImageData().GetDimensions())
            self._made = _("Made {name}, {size} voxels.").format(name=node.GetName(), size=size)
        self.refresh()

    def refresh(self) -> None:
        """Bring all widgets into line with the settings."""
        ui, given = self.ui, self.parameterNode
        ui.makeButton.enabled = self.volume is not None
        if given is not None:
            ui.marginSpinBox.enabled = given.cropToLungs
            ui.spacingSpinBox.enabled = given.resample
            ui.zeroCheckBox.enabled = given.normalize
        ui.messageLabel.text = warning(self.problem) if self.problem else self._made
        ui.messageLabel.visible = bool(self.problem or self._made)
