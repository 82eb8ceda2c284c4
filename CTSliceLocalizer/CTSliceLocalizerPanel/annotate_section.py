"""The section Annotate: one key labels the slice that is shown."""

from __future__ import annotations

import html
import logging
from functools import partial

import qt
import slicer
import slicer.util
import vtk
from CTVolumePanel.section import PanelSection, warning
from slicer.i18n import tr as _

from . import label_nodes
from .annotation_shortcuts import AnnotationShortcuts
from .label_table import LabelTable
from .worklist_box import WorklistBox

_SECOND_KEYS = {"Top of head": "H"}
"""Where ` has no key of its own, as on German keyboards."""

log = logging.getLogger(__name__)


class AnnotateSection(PanelSection):
    """Widgets of Annotate; what they show is asked of the logic by ``_refresh``."""

    def __init__(self, widget) -> None:
        super().__init__(
            widget, "Annotate.ui", _("Annotate"), _("Label slices with landmarks, a key for each, to train a model.")
        )
        self._observedVolume = None
        self._entered = self._acting = self._running = self._cancelled = self._closed = False
        self._problem = ""
        self._shown = None
        self.table = LabelTable(self.ui.labelTable)
        self.worklistBox = WorklistBox(self.ui, self.logic, self._run)
        self._setUpWidgets()
        self.shortcuts = AnnotationShortcuts(self._keys(), self._showKeys)
        self.logic.annotations.listeners.append(self._onLabelsChanged)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.NodeAddedEvent, self._onNodeAdded)
        self.addObserver(scene, scene.NodeRemovedEvent, self._onNodeRemoved)
        self.addObserver(scene, scene.StartCloseEvent, self._onSceneStartsToClose)
        self.addObserver(scene, scene.EndCloseEvent, self._onSceneClosed)

    def guiMapping(self) -> dict:
        """The parameters that widgets show and change, by name."""
        return {"annotateVolume": self.ui.volumeSelector}

    def enter(self) -> None:
        """The keys exist from now on, if the section is open."""
        self._entered = True
        self._onOpenedOrClosed()

    def exit(self) -> None:
        """The keys are Slicer's again."""
        self._entered = False
        self._onOpenedOrClosed()

    def cleanup(self) -> None:
        """Drop keys and observers; everything is saved already."""
        self._closed = self._cancelled = True
        self.logic.annotations.listeners.remove(self._onLabelsChanged)
        self.shortcuts.remove()
        self.setParameterNode(None)
        self.removeObservers()

    @property
    def volume(self):
        """The volume that is labelled, or None."""
        return self.parameterNode.annotateVolume if self.parameterNode is not None else None

    # Keys and buttons

    def onLabel(self, name: str) -> None:
        """Label the shown slice."""
        if self._do(self.logic.labelSlice, self.volume, name):
            self.table.select(name)

    def onLabelButton(self) -> None:
        """Label the shown slice with the landmark of the current row."""
        self.onLabel(self.table.current)

    def onRemove(self) -> None:
        """Remove the current row's label where the table has the focus, else that of the shown slice."""
        found = label_nodes.pointUnderMouse()
        if found is not None:  # this Delete is meant for Slicer's own point
            found[0].RemoveNthControlPoint(found[1])
        elif self.ui.labelTable.hasFocus():
            self._do(self.logic.removeLabel, self.volume, self.table.current)
        else:
            self._do(self.logic.removeLabel, self.volume)

    def onRemoveButton(self) -> None:
        """Remove the label of the current row."""
        self._do(self.logic.removeLabel, self.volume, self.table.current)

    def onUndo(self) -> None:
        """Take the last change back."""
        self._do(self.logic.undoLabel, self.volume)

    def onRedo(self) -> None:
        """Make it again."""
        self._do(self.logic.redoLabel, self.volume)

    def onPropose(self) -> None:
        """Ask the model, and show the first landmark that it proposes."""
        if self._run(self.logic.proposeLabels, self.volume):
            self._goToNextProposal()

    def onAccept(self) -> None:
        """Accept the proposal that is shown; one that is not shown yet is shown first."""
        row = self._row(self.table.current)
        if row is None or row.proposal is None:
            self._goToNextProposal()
        elif self._shownSlice() != row.proposal.position:
            self._do(self.logic.goToLabel, self.volume, row.name)
        elif self._do(self.logic.acceptProposal, self.volume, row.name):
            self._goToNextProposal()

    def onRowChosen(self) -> None:
        """Go to the label or proposal of a row that the user chose."""
        row = self._row(self.table.current)
        if row is not None and (row.position is not None or row.proposal is not None):
            self._do(self.logic.goToLabel, self.volume, row.name)

    def onLoad(self) -> None:
        """Load labels.json or .mrk.json."""
        filters = _("Labels (*.json)")
        path = qt.QFileDialog.getOpenFileName(self.button, _("Load labels"), self._folderOfLabels(), filters)
        if path:
            self._do(self.logic.loadLabels, self.volume, path)

    def onSave(self) -> None:
        """Save to another labels.json or .mrk.json."""
        filters = _("Labels of the article (*.json);;Slicer markups (*.mrk.json)")
        path = qt.QFileDialog.getSaveFileName(self.button, _("Save labels"), self._folderOfLabels(), filters)
        if path:
            self._do(self.logic.saveLabels, self.volume, path)

    def onLabelsFolder(self) -> None:
        """Choose where labels are kept."""
        path = qt.QFileDialog.getExistingDirectory(self.button, _("Folder for labels"), self._folderOfLabels())
        if path:
            self.logic.setLabelsFolder(path)

    def onBesideData(self) -> None:
        """Keep labels beside the data again."""
        self.logic.setLabelsFolder("")

    def onCancel(self) -> None:
        """Stop at the next step."""
        self._cancelled = True

    # What happens

    def _do(self, action, *arguments) -> bool:
        """Call the logic and show what came of it; whether it worked."""
        from CTVolumeLib.errors import CTError

        if self._running or self._closed:
            return False
        self._problem, self._acting = "", True
        try:
            action(*arguments)
        except CTError as error:
            self._problem = str(error)
        except Exception as error:  # the panel goes on; the log tells the rest
            log.exception("Annotate failed")
            self._problem = _("That failed ({kind}): the error log tells more. The labels are kept.").format(
                kind=type(error).__name__
            )
        finally:
            self._acting = False
        self._refresh()
        return not self._problem

    def _run(self, action, *arguments) -> bool:
        """Call the logic with progress and Cancel in the panel; whether it worked."""

        def run() -> None:
            self._running, self._cancelled = True, False
            self._showProgress()
            try:
                action(*arguments, progress=self._onProgress)
            finally:
                self._running = False
                if not self._closed:
                    self._showProgress()

        return self._do(run)

    def _onProgress(self, done: int, total: int, text: str) -> bool:
        self.ui.progressBar.maximum = max(total, 1)
        self.ui.progressBar.value = done
        self.ui.progressBar.setFormat(f"{text} %p%")
        slicer.app.processEvents()
        return not self._cancelled

    def _onParametersModified(self, _caller=None, _event=None) -> None:
        if self.volume is not self._observedVolume:
            self._problem = ""
            self.removeObservers(self._onVolumeModified)
            self._observedVolume = self.volume
            if self.volume is not None:
                self.addObserver(self.volume, self.volume.TransformModifiedEvent, self._onVolumeModified)
        self._refresh()

    def _onLabelsChanged(self, volumeNode) -> None:
        if volumeNode is self.volume and not self._acting:  # by a script
            self._refresh()

    def _onVolumeModified(self, _caller, _event) -> None:
        self._refresh()

    def _onSceneStartsToClose(self, _caller, _event) -> None:
        self._cancelled = True

    def _onSceneClosed(self, _caller, _event) -> None:
        self.logic.annotations.forget()  # else the voxels stay in memory

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeRemoved(self, _caller, _event, node) -> None:
        if node.IsA("vtkMRMLScalarVolumeNode"):
            self.logic.annotations.forget()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeAdded(self, _caller, _event, node) -> None:
        if self.shortcuts.installed and node.IsA("vtkMRMLSliceNode"):
            self._follow(node)

    def _follow(self, sliceNode) -> None:
        if not self.hasObserver(sliceNode, vtk.vtkCommand.ModifiedEvent, self._onSliceModified):
            self.addObserver(sliceNode, vtk.vtkCommand.ModifiedEvent, self._onSliceModified)

    def _onSliceModified(self, _caller, _event) -> None:
        if not self._running and self._shownSlice() != self._shown:
            self._showSlice()

    def _onOpenedOrClosed(self) -> None:
        """Keys and slice views matter only while the section can be seen."""
        if self._entered and not self.button.collapsed:
            self._takeShownVolume()
            self.shortcuts.install()
            for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
                self._follow(node)
        else:
            self.shortcuts.remove()
            self.removeObservers(self._onSliceModified)
        self._refresh()

    def _takeShownVolume(self) -> None:
        """Start with the volume in the slice views, as long as none was chosen."""
        if self.parameterNode is None or self.volume is not None:
            return
        for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            node = slicer.mrmlScene.GetNodeByID(composite.GetBackgroundVolumeID() or "")
            if node is not None and node.GetClassName() == "vtkMRMLScalarVolumeNode":
                self.parameterNode.annotateVolume = node
                return

    def _goToNextProposal(self) -> None:
        """Choose and show the next landmark, from the current row on, that waits for an answer."""
        rows = self._labelling().rows
        first = max(self.ui.labelTable.currentRow(), 0)
        for row in (*rows[first:], *rows[:first]):
            if row.proposal is not None:
                self.table.select(row.name)
                self._do(self.logic.goToLabel, self.volume, row.name)
                return

    # What the widgets show

    def _setUpWidgets(self) -> None:
        ui = self.ui
        self.button.connect("contentsCollapsed(bool)", self._onOpenedOrClosed)
        for button, action in (
            (ui.labelButton, self.onLabelButton),
            (ui.removeButton, self.onRemoveButton),
            (ui.undoButton, self.onUndo),
            (ui.redoButton, self.onRedo),
            (ui.proposeButton, self.onPropose),
            (ui.acceptButton, self.onAccept),
            (ui.loadButton, self.onLoad),
            (ui.saveButton, self.onSave),
            (ui.labelsFolderButton, self.onLabelsFolder),
            (ui.besideDataButton, self.onBesideData),
            (ui.cancelButton, self.onCancel),
        ):
            button.connect("clicked()", action)
        ui.labelTable.connect("itemSelectionChanged()", self.onRowChosen)
        ui.labelTable.connect("cellClicked(int,int)", self.onRowChosen)

    def _keys(self) -> dict:
        from CTSliceLocalizerLib.landmarks import LANDMARKS

        keys = {landmark.key: partial(self.onLabel, landmark.name) for landmark in LANDMARKS}
        keys |= {key: partial(self.onLabel, name) for name, key in _SECOND_KEYS.items()}
        return keys | {
            "Del": self.onRemove,
            "Backspace": self.onRemove,
            "Ctrl+Z": self.onUndo,
            "Ctrl+Y": self.onRedo,
            "Ctrl+Shift+Z": self.onRedo,
            "Return": self.onAccept,
            "Enter": self.onAccept,
            "Ctrl+PgDown": self.worklistBox.onNext,
            "Ctrl+PgUp": self.worklistBox.onPrevious,
        }

    def _row(self, name: str):
        return next((row for row in self._labelling().rows if row.name == name), None)

    def _shownSlice(self) -> int | None:
        from CTVolumeLib.errors import CTError

        try:
            return self.logic.shownSlice(self.volume) if self.volume is not None else None
        except CTError:
            return None

    def _labelling(self):
        """What there is to show; with the reason, if the volume can't be labelled."""
        from CTVolumeLib.errors import CTError

        from .annotating import Labelling

        if self.volume is None:
            return Labelling()
        try:
            return self.logic.labelling(self.volume)
        except CTError as error:
            self._problem = self._problem or str(error)
            return Labelling()

    def _folderOfLabels(self) -> str:
        saved = self._labelling().saved
        return str(saved.parent) if saved is not None else ""

    def _refresh(self) -> None:
        """Bring all widgets into line with the labels."""
        if self._running or self._closed or not self._entered or self.button.collapsed:
            return
        found = self._labelling()
        self.table.fill(found)
        self._showSlice()
        ui = self.ui
        usable = bool(found.rows)
        for control in (ui.labelButton, ui.proposeButton, ui.loadButton, ui.saveButton):
            control.enabled = usable
        ui.removeButton.enabled = found.count > 0
        ui.acceptButton.enabled = any(row.proposal is not None for row in found.rows)
        ui.undoButton.enabled, ui.redoButton.enabled = found.canUndo, found.canRedo
        self._showKeys()
        self._showMessages(ui.messageLabel, [self._problem, found.problem])
        self._showMessages(ui.orderLabel, [problem.text for problem in found.contradictions])
        where = _("{count} of 12 labelled.").format(count=found.count)
        if found.saved is not None:
            where += " " + _("Saved in {name}.").format(name=found.saved.name)
        ui.savedLabel.text = f"{where} {found.notice}".strip() if usable else _("Choose a scan, or open a worklist.")
        ui.savedLabel.toolTip = str(found.saved) if found.saved is not None else _("Where the labels are.")
        ui.besideDataButton.enabled = self.parameterNode is not None and bool(self.parameterNode.labelsFolder)
        self.worklistBox.refresh()

    def _showMessages(self, label, texts) -> None:
        texts = [text for text in texts if text]
        label.text = "<br>".join(warning(text) for text in texts)
        label.visible = bool(texts)
        # A layout in a scroll area does not ask wrapped texts how high they have to be.
        label.minimumHeight = label.heightForWidth(max(label.width, 200)) if texts else 0

    def _showSlice(self) -> None:
        """What the active view shows."""
        self._shown = position = self._shownSlice()
        label = self.ui.sliceLabel
        if self.volume is None:
            label.text = ""
            return
        if position is None:
            label.text = _("No axial view shows a slice of this scan.")
            return
        found = self.logic.sliceAt(self.volume, position)
        names = ", ".join(html.escape(name) for name in found.names)
        label.text = _("Slice {index}, z {z:.1f} mm").format(index=found.index, z=found.zMm) + (
            f": <b>{names}</b>" if names else ""
        )

    def _showKeys(self) -> None:
        if self._closed:
            return
        text = (
            _("Press a key of the table to label the slice.")
            if self.shortcuts.active
            else _("Keys are off while you type or use a 3D view: click a slice view.")
        )
        if self.ui.acceptButton.enabled:
            text += " " + _("Italics with ?: proposed; Enter accepts it.")
        self.ui.keysLabel.text = text

    def _showProgress(self) -> None:
        self.ui.progressBar.value = 0
        self.ui.progressBar.visible = self.ui.cancelButton.visible = self._running
        for control in (self.ui.volumeSelector, self.ui.labelWidget, self.ui.worklistWidget):
            control.enabled = not self._running
        if self._running:
            slicer.app.processEvents()
