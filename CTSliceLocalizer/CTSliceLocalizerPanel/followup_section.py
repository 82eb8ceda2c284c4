"""The section Follow up: two scans side by side, scrolled together by anatomy."""

from __future__ import annotations

import logging

import qt
import slicer
import slicer.util
import vtk
from CTVolumePanel.section import PanelSection, warning
from slicer.i18n import tr as _

from . import carrying_over, following_up, match_nodes

_COLUMNS = ("Slice", "z (mm)", "Location", "Off (mm)")

log = logging.getLogger(__name__)


class FollowUpSection(PanelSection):
    """Widgets of Follow up; what they show is read from the scene and the logic by ``_refresh``."""

    def __init__(self, widget) -> None:
        super().__init__(
            widget,
            "FollowUp.ui",
            _("Follow up"),
            _("Where is this slice in the follow-up? Two scans of a patient, scrolled together by anatomy."),
        )
        self._pair = (None, None)
        self._slices = []
        self._problem = self._note = ""
        self._running = self._cancelled = self._entered = self._closed = False
        self._setUpWidgets()
        self.logic.onPlaceChanged = self._showPlace
        self.logic.onFollowUpStopped = self._onStopped
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.NodeRemovedEvent, self._onNodeRemoved)
        self.addObserver(scene, scene.StartCloseEvent, self._onSceneStartsToClose)

    def guiMapping(self) -> dict:
        """The parameters that widgets show and change, by name."""
        return {
            "baselineVolume": self.ui.baselineSelector,
            "followUpVolume": self.ui.followUpSelector,
            "refineMatch": self.ui.refineCheckBox,
            "sliceTolerance": self.ui.toleranceSpinBox,
            "carriedMarkups": self.ui.markupsSelector,
        }

    def setParameterNode(self, parameterNode) -> None:
        """Show another parameter node; None while the scene closes."""
        changed = parameterNode is not self._connectedNode
        if parameterNode is None:
            self.logic.leaveSideBySide()
        super().setParameterNode(parameterNode)
        if parameterNode is not None and changed and self._entered:
            self._propose()
            self._resume()
            self._refresh()

    def enter(self) -> None:
        """Back to the pair that was linked when the module was left."""
        self._entered = True
        self._propose()
        self._resume()
        self._refresh()

    def exit(self) -> None:
        """Other modules get the user's own layout and Slicer's own link; the match stays."""
        self._entered, self._cancelled = False, True
        self.logic.leaveSideBySide()

    def cleanup(self) -> None:
        """Drop the observers; a run that is under way ends at its next step."""
        self._closed = self._cancelled = True
        self.setParameterNode(None)
        self.logic.onPlaceChanged = self.logic.onFollowUpStopped = None
        self.removeObservers()

    # Buttons

    def onLink(self) -> None:
        """Scroll together, or each alone again."""
        if not self.ui.linkButton.checked:
            self.logic.unlink()
            self._remember(False)
            self._refresh()
            return
        self._run(lambda progress: self.logic.linkScrolling(*self._pair, progress=progress, **self._settings()))

    def onJump(self) -> None:
        """Once: the other view goes to the same place."""

        def jump(progress):
            self.logic.showSideBySide(*self._pair, progress=progress, **self._settings())
            self.logic.jumpToSamePlace()

        self._run(jump)

    def onCancel(self) -> None:
        """Stop at the next step of the run."""
        self._cancelled = True

    def onClear(self) -> None:
        """Remove the match, and go back to the layout from before."""
        self._problem = self._note = ""
        self._slices = []
        self._remember(False)
        self.logic.clearMatch(*self._pair)
        self._refresh()

    def onOffset(self, offsetMm: float) -> None:
        """Correct the match."""
        if self._pair != (None, None):
            self._run(lambda _progress: self.logic.setOffset(*self._pair, offsetMm))

    def onOffsetReset(self) -> None:
        """No correction."""
        self.onOffset(0.0)

    def onSame(self) -> None:
        """Correct the match so that the shown slices are the same place."""
        self._run(lambda _progress: self.logic.matchShownSlices())

    def onList(self) -> None:
        """List the similar slices of the follow-up."""

        def listSlices(_progress):
            tolerance = self.parameterNode.sliceTolerance
            self._slices = self.logic.slicesWithin(*self._pair, tolerance=tolerance)
            if self._slices:
                self._note = _("Listed: {n} slices like baseline z {z:.1f} mm.").format(
                    n=len(self._slices), z=self.logic.shownHeight()
                )
            else:
                self._note = _("No slice of the follow-up is that near: raise the tolerance.")

        self._run(listSlices)

    def onSliceChosen(self) -> None:
        """Go to the slice of the current row."""
        row = self.ui.sliceTable.currentRow()
        if 0 <= row < len(self._slices):
            self.logic.goToFollowUpSlice(self._slices[row].z_mm)

    def onCarry(self) -> None:
        """Carry the chosen markups over."""

        def carry(progress):
            markups = self.parameterNode.carriedMarkups
            done = self.logic.carryOver(markups, *self._pair, self.parameterNode.refineMatch, progress)
            words = _('{n} of {all} points are proposed in the list "{name}". Check each by eye.').format(
                n=done.count, all=done.count + done.left_out, name=done.node.GetName()
            )
            if done.left_out:
                words += " " + _("The follow-up does not cover the others.")
            self._note = f"{words} {carrying_over.methodInWords(done.method)}"

        self._run(carry)

    def onTransform(self) -> None:
        """Make the transform."""

        def make(progress):
            node = self.logic.transformToFollowUp(*self._pair, self.parameterNode.refineMatch, progress)
            self._note = _("Made the transform {name}. {how}").format(name=node.GetName(), how=node.GetDescription())

        self._run(make)

    # What the scene says

    def _onParametersModified(self, _caller=None, _event=None) -> None:
        parameters = self.parameterNode
        pair = (parameters.baselineVolume, parameters.followUpVolume) if parameters is not None else (None, None)
        if pair != self._pair:
            self._pair, self._problem, self._note, self._slices = pair, "", "", []
            # Not where nothing is shown: a scene that is being loaded brings its volumes and its link one by one.
            if not self._running and self.logic.isSideBySide() and not self.logic.shows(*pair):
                self.logic.leaveSideBySide()
                self._remember(False)
        self._refresh()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeRemoved(self, _scene, _event, node) -> None:
        if node.IsA("vtkMRMLScalarVolumeNode"):
            if node in self._pair:
                self._cancelled = True
            if not slicer.mrmlScene.IsClosing():
                match_nodes.removeOrphans(slicer.mrmlScene)

    def _onSceneStartsToClose(self, _caller, _event) -> None:
        self._cancelled = True

    def _onStopped(self, reason: str) -> None:
        """The pair can't be followed any more."""
        self._problem = reason
        self._remember(False)
        self._refresh()

    def _onOpened(self, collapsed: bool) -> None:
        if not collapsed:
            self._propose()

    def _propose(self) -> None:
        """Start with the two volumes that there are, as long as none was chosen."""
        parameters = self.parameterNode
        if parameters is not None and parameters.baselineVolume is None and parameters.followUpVolume is None:
            baseline, followUp = following_up.proposedPair()
            if baseline is not None:
                with slicer.util.NodeModify(parameters.parameterNode):
                    parameters.baselineVolume = baseline
                    parameters.followUpVolume = followUp

    def _resume(self) -> None:
        """Link again what was linked when the module was left or the scene was saved; nothing is computed anew."""
        from CTVolumeLib.errors import CTError

        parameters = self.parameterNode
        if parameters is None or not parameters.linkedScrolling or self.logic.isLinked():
            return
        pair = (parameters.baselineVolume, parameters.followUpVolume)
        if match_nodes.matchOf(*pair) is None:
            parameters.linkedScrolling = False
            return
        try:
            self.logic.linkScrolling(*pair, refine=match_nodes.isRefined(*pair))
        except CTError as error:
            self._problem = str(error)
            parameters.linkedScrolling = False

    def _remember(self, linked: bool) -> None:
        if self.parameterNode is not None and self.parameterNode.linkedScrolling != linked:
            self.parameterNode.linkedScrolling = linked

    def _settings(self) -> dict:
        parameters = self.parameterNode
        return {
            "refine": parameters.refineMatch,
            "modelFile": parameters.modelFile,
            "useLiteRT": parameters.useLiteRT,
        }

    # Running

    def _run(self, work) -> None:
        """Do the work of a button: progress, Cancel, and what went wrong are shown in the panel."""
        from CTVolumeLib.errors import CTError

        if self._running or self.parameterNode is None:
            return
        self._running, self._cancelled, self._problem, self._note = True, False, "", ""
        try:
            work(self._onProgress)
        except CTError as error:
            self._problem = _("Cancelled.") if error.code == "cancelled" else str(error)
        except Exception as error:  # the panel goes on; the log tells the rest
            log.exception("Follow up failed")
            self._problem = _("Follow up failed ({kind}): the error log tells more.").format(kind=type(error).__name__)
        finally:
            self._running = False
        if self._entered:
            self._remember(self.logic.isLinked())
        else:  # left while it ran
            self.logic.leaveSideBySide()
        if not self._closed:
            self._showProgress()
            self._refresh()

    def _onProgress(self, done: int, total: int, text: str) -> bool:
        bar = self.ui.followUpProgressBar
        if not bar.visible:
            self._showProgress()
        bar.maximum, bar.value = total, done
        bar.setFormat(f"{text} %p%")
        slicer.app.processEvents()
        return not self._cancelled

    def _showProgress(self) -> None:
        """The bar with Cancel while running; all that would change the input is off meanwhile."""
        ui = self.ui
        ui.followUpProgressBar.value = 0
        ui.followUpProgressBar.visible = ui.followUpCancelButton.visible = self._running
        for control in (
            ui.baselineSelector,
            ui.followUpSelector,
            ui.linkButton,
            ui.matchWidget,
            ui.jumpButton,
            ui.followUpClearButton,
            ui.moreButton,
        ):
            control.enabled = not self._running
        if self._running:
            ui.followUpMessageLabel.visible = False

    # What the widgets show

    def _setUpWidgets(self) -> None:
        ui = self.ui
        self.button.connect("contentsCollapsed(bool)", self._onOpened)
        ui.linkButton.connect("clicked()", self.onLink)
        ui.jumpButton.connect("clicked()", self.onJump)
        ui.followUpCancelButton.connect("clicked()", self.onCancel)
        ui.followUpClearButton.connect("clicked()", self.onClear)
        ui.offsetSpinBox.connect("valueChanged(double)", self.onOffset)
        ui.offsetResetButton.connect("clicked()", self.onOffsetReset)
        ui.sameButton.connect("clicked()", self.onSame)
        ui.sliceListButton.connect("clicked()", self.onList)
        ui.sliceTable.connect("itemSelectionChanged()", self.onSliceChosen)
        ui.carryButton.connect("clicked()", self.onCarry)
        ui.transformButton.connect("clicked()", self.onTransform)
        ui.moreButton.collapsed = True
        table = ui.sliceTable
        table.setColumnCount(len(_COLUMNS))
        table.setHorizontalHeaderLabels([_(title) for title in _COLUMNS])
        table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.Stretch)
        table.verticalHeader().setVisible(False)
        table.verticalHeader().setDefaultSectionSize(20)

    def _refresh(self) -> None:
        """Bring all widgets into line with the scene."""
        if self._running or self._closed:
            return
        ui, (baseline, followUp) = self.ui, self._pair
        same = baseline is not None and baseline is followUp
        chosen = baseline is not None and followUp is not None and not same
        found = match_nodes.matchOf(baseline, followUp) if chosen else None
        lines = [self._problem] if self._problem else []
        if same:
            lines.append(_("Baseline and follow-up are the same volume: choose two different ones."))
        lines += following_up.warnings(baseline, followUp) if chosen else []
        ui.followUpMessageLabel.text = "<br>".join(warning(line) for line in lines)
        ui.followUpMessageLabel.visible = bool(lines)
        for control in (ui.linkButton, ui.jumpButton):
            control.enabled = chosen
        for control in (ui.sliceListButton, ui.carryButton, ui.transformButton):
            control.enabled = found is not None
        ui.carryButton.enabled = found is not None and self.parameterNode.carriedMarkups is not None
        ui.followUpClearButton.enabled = chosen and match_nodes.dataNode(baseline, followUp) is not None
        ui.linkButton.checked = self.logic.isLinked()
        ui.linkButton.text = _("&Scrolling is linked: unlink") if self.logic.isLinked() else _("Link &scrolling")
        ui.sameButton.enabled = self.logic.isSideBySide() and not self.logic.isLinked()
        ui.matchWidget.visible = found is not None
        wasBlocked = ui.offsetSpinBox.blockSignals(True)
        ui.offsetSpinBox.value = match_nodes.offsetOf(baseline, followUp)
        ui.offsetSpinBox.blockSignals(wasBlocked)
        ui.followUpNoteLabel.text = self._note
        ui.followUpNoteLabel.visible = bool(self._note)
        self._fillSlices()
        self._showPlace()

    def _fillSlices(self) -> None:
        table = self.ui.sliceTable
        table.visible = bool(self._slices)
        wasBlocked = table.blockSignals(True)
        table.setRowCount(len(self._slices))
        for row, entry in enumerate(self._slices):
            texts = (f"{entry.index}", f"{entry.z_mm:.1f}", f"{entry.location:.3f}", f"{entry.distance_mm:+.1f}")
            for column, text in enumerate(texts):
                table.setItem(row, column, qt.QTableWidgetItem(text))
        table.clearSelection()
        table.setCurrentCell(-1, -1)
        table.blockSignals(wasBlocked)

    def _showPlace(self) -> None:
        """Say where the slice that was scrolled to last lies in the other scan."""
        words, covered = self.logic.placeInWords()
        self.ui.placeLabel.text = words if covered else warning(words)
