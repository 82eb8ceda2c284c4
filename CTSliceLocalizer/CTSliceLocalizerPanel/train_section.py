"""The section Train: from DICOM files and labels to a model of one's own, by commands that run beside Slicer."""

from __future__ import annotations

import logging

import ctk
import qt
import slicer
import slicer.util
from CTVolumePanel.section import PanelSection, followPath, warning
from slicer.i18n import tr as _

from . import training_steps
from .child_commands import TOO_OLD
from .training_steps import EVALUATE, ORGANIZE, PREPARE, TRAIN

_LOOK_EVERY_MS = 150
_LINES_SHOWN = 1000
_PYTHON_SETTING = "CTSliceLocalizer/TrainingPython"

log = logging.getLogger(__name__)


class TrainSection(PanelSection):
    """Widgets of Train. What runs is a child process; a timer looks how far it is."""

    def __init__(self, widget) -> None:
        super().__init__(
            widget,
            "Train.ui",
            _("Train (advanced)"),
            _("Train a model of your own on your own labelled scans: children, other regions, another scale."),
        )
        self._run = None
        self._step = self._folder = ""
        self._problem = self._note = ""
        self._missing: tuple[str, ...] = ()
        self._timer = qt.QTimer()
        self._timer.setInterval(_LOOK_EVERY_MS)
        self._timer.connect("timeout()", self._look)
        self._setUpWidgets()
        slicer.app.connect("aboutToQuit()", self._kill)
        self._refresh()

    def guiMapping(self) -> dict:
        """The parameters that widgets show and change, by name."""
        return {"trainEpochs": self.ui.epochsSpinBox}

    def enter(self) -> None:
        """The module is shown: files may have come or gone."""
        self._refresh()

    def cleanup(self) -> None:
        """End what runs: nobody would see its end."""
        slicer.app.disconnect("aboutToQuit()", self._kill)
        self._kill()
        self.setParameterNode(None)
        self.removeObservers()

    # Buttons

    def onOrganize(self) -> None:
        """Sort the DICOM files into the training folder."""
        self._start(ORGANIZE)

    def onPrepare(self) -> None:
        """Check the labels, make the data set and divide it."""
        self._start(PREPARE)

    def onTrain(self) -> None:
        """Train, or go on training."""
        self._start(TRAIN)

    def onEvaluate(self) -> None:
        """Measure the model on patients that it has not seen."""
        self._start(EVALUATE)

    def onCheckPython(self) -> None:
        """Look what the chosen Python lacks."""
        self._startRun("check", lambda: self.logic.checkPython(self._python()))

    def onInstall(self) -> None:
        """Install what the last check found missing."""
        self._startRun("install", lambda: self.logic.installPackages(self._missing, self._python()))

    def onCancel(self) -> None:
        """End the child and its children; what is finished stays."""
        if self._run is not None:
            self._run.cancel()
            self.ui.progressBar.setFormat(_("Stopping"))

    def onUseModel(self) -> None:
        """Choose the trained model in Locate."""
        model = self.logic.trainedModel(self.parameterNode.trainFolder)
        if model is not None:
            self.parameterNode.modelFile = str(model)
            self._note = _("Locate uses this model now.")
        self._refresh()

    def onShowEvaluation(self) -> None:
        """Open the page of the evaluation in the browser."""
        page = training_steps.evaluationPage(self.parameterNode.trainFolder)
        if page is not None:
            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(page)))

    # Running

    def _start(self, step: str) -> None:
        parameters = self.parameterNode
        self._folder = parameters.trainFolder  # a scene that closes meanwhile forgets it
        self._startRun(
            step,
            lambda: self.logic.startTraining(
                step,
                parameters.trainFolder,
                source=parameters.trainSource,
                labels=parameters.labelsFolder,
                epochs=parameters.trainEpochs,
                python=self._python(),
            ),
        )

    def _startRun(self, step: str, start) -> None:
        from CTVolumeLib.errors import CTError

        if self._run is not None:
            return
        self._problem = self._note = ""
        self.ui.logText.clear()
        try:
            self._run, self._step = start(), step
        except CTError as error:
            self._problem = str(error)
        except Exception as error:  # the panel goes on; the log tells the rest
            log.exception("A step of training could not be started")
            self._problem = _("It could not be started ({kind}): the error log tells more.").format(
                kind=type(error).__name__
            )
        else:
            self._timer.start()
        self._refresh()

    def _look(self) -> None:
        """Called by the timer: show how far it is."""
        run = self._run
        if run is None:
            self._timer.stop()
            return
        for line in run.poll():
            self.ui.logText.appendPlainText(line)
        if run.running:
            self._showProgress()
            return
        self._timer.stop()
        self._run = None
        self._conclude(run)
        self._refresh()

    def _conclude(self, run) -> None:
        """What to say about a run that has ended."""
        if run.cancelled:
            self._note = _("Stopped. What is finished is kept; the same button goes on.")
        elif run.missing:
            self._missing = run.missing
            self.ui.pythonButton.collapsed = False
            self._problem = _("This Python ({version}) lacks {packages}.").format(
                version=run.pythonVersion, packages=", ".join(run.missing)
            )
        elif run.exitCode == TOO_OLD:
            self._problem = _("This Python is too old ({version}).").format(version=run.pythonVersion)
        elif run.problem:
            self._problem = _("{title} failed: {reason}").format(title=run.title, reason=run.problem)
        elif run.partly:
            self._problem = _("Done, but not everything could be used: the log says what and why.")
            self.ui.logText.moveCursor(qt.QTextCursor.Start)  # the reasons come first
        else:
            self._note = self._doneText(run)
            if self._step in ("check", "install"):
                self._missing = ()
        if self._step == PREPARE and run.succeeded:
            self._warnOfEmptyParts()

    def _warnOfEmptyParts(self) -> None:
        empty = training_steps.emptyParts(self._folder)
        if empty:
            self._problem = _(
                "No patient fell into {parts}, and training needs both parts. Label more patients, or try another"
                " draw with ct-localize partition --salt."
            ).format(parts=", ".join(empty))

    def _doneText(self, run) -> str:
        if self._step == "check":
            return _("Python {version} has all that training needs.").format(version=run.pythonVersion)
        return {
            "install": _("Installed."),
            ORGANIZE: _("Organized. Now label the series of its folder tree in the section Annotate."),
            PREPARE: _("Prepared. Now train."),
            TRAIN: _("Trained. Now evaluate it, and look at the result before you use it."),
            EVALUATE: _("Evaluated. Read the page before you use the model."),
        }[self._step]

    def _kill(self) -> None:
        self._timer.stop()
        if self._run is not None:
            self._run.kill()
            self._run = None

    # Widgets

    def _setUpWidgets(self) -> None:
        ui = self.ui
        for button, slot in (
            (ui.organizeButton, self.onOrganize),
            (ui.prepareButton, self.onPrepare),
            (ui.trainButton, self.onTrain),
            (ui.evaluateButton, self.onEvaluate),
            (ui.cancelTrainingButton, self.onCancel),
            (ui.useModelButton, self.onUseModel),
            (ui.showEvaluationButton, self.onShowEvaluation),
            (ui.checkPythonButton, self.onCheckPython),
            (ui.installButton, self.onInstall),
        ):
            button.connect("clicked()", slot)
        ui.sourcePathEdit.filters = ctk.ctkPathLineEdit.Dirs
        ui.folderPathEdit.filters = ctk.ctkPathLineEdit.Dirs
        ui.pythonPathEdit.filters = ctk.ctkPathLineEdit.Files
        followPath(ui.sourcePathEdit, self._onSource)
        followPath(ui.folderPathEdit, self._onFolder)
        ui.pythonPathEdit.currentPath = slicer.app.userSettings().value(_PYTHON_SETTING, "") or ""
        followPath(ui.pythonPathEdit, self._onPython)
        ui.pythonButton.collapsed = True
        ui.logText.maximumBlockCount = _LINES_SHOWN

    def _onSource(self, path: str) -> None:
        if self.parameterNode is not None:
            self.parameterNode.trainSource = path

    def _onFolder(self, path: str) -> None:
        if self.parameterNode is not None:
            self.parameterNode.trainFolder = path

    def _onPython(self, path: str) -> None:
        # Kept on this computer, not in the scene: a scene of somebody else must not choose a program to run.
        slicer.app.userSettings().setValue(_PYTHON_SETTING, path)
        self._missing = ()
        self._refresh()

    def _python(self) -> str:
        return self.ui.pythonPathEdit.currentPath.strip()

    def _onParametersModified(self, _caller=None, _event=None) -> None:
        parameters = self.parameterNode
        if parameters is not None:
            for edit, path in (
                (self.ui.sourcePathEdit, parameters.trainSource),
                (self.ui.folderPathEdit, parameters.trainFolder),
            ):
                if edit.currentPath != path:
                    edit.currentPath = path
        self._refresh()

    def _showProgress(self) -> None:
        run, bar = self._run, self.ui.progressBar
        if run.cancelled:
            return
        bar.maximum = run.total  # 0 shows that it is busy
        bar.value = run.done
        count = f" ({run.number + 1}/{len(run.commands)})" if len(run.commands) > 1 else ""
        bar.setFormat(f"{run.title}{count} %p%" if run.total else f"{run.title}{count}")

    def _refresh(self) -> None:
        """Bring all widgets into line with what runs and what is there."""
        ui, parameters = self.ui, self.parameterNode
        running = self._run is not None
        folder = parameters.trainFolder if parameters is not None else ""
        ui.progressBar.visible = ui.cancelTrainingButton.visible = running
        ui.logText.visible = running or bool(ui.logText.plainText)
        if running:
            self._showProgress()
        for button in (ui.organizeButton, ui.prepareButton, ui.trainButton, ui.evaluateButton):
            button.enabled = bool(folder) and not running
        for control in (ui.inputsWidget, ui.epochsSpinBox, ui.pythonPathEdit, ui.checkPythonButton):
            control.enabled = not running
        ui.installButton.visible = bool(self._missing)
        ui.installButton.enabled = not running
        ui.installButton.toolTip = _(
            "Install {packages} by pip from the internet. Packages of Slicer itself stay as they are."
        ).format(packages=", ".join(self._missing))
        ui.useModelButton.enabled = not running and self.logic.trainedModel(folder) is not None
        ui.showEvaluationButton.enabled = not running and training_steps.evaluationPage(folder) is not None
        note = self._note or ("" if folder or self._problem else _("Choose a training folder; everything goes there."))
        ui.trainMessageLabel.text = warning(self._problem) if self._problem else note
        ui.trainMessageLabel.visible = bool(ui.trainMessageLabel.text)
