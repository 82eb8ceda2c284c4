"""The part of Annotate that goes from series to series."""

from __future__ import annotations

from collections.abc import Callable

import qt
from slicer.i18n import tr as _

from .worklist import ENOUGH


class WorklistBox:
    """Buttons and list of a worklist; every button is one or two calls of the logic."""

    def __init__(self, ui, logic, run: Callable[..., bool]) -> None:
        """Connect the widgets.

        Args:
            ui: the form of Annotate.
            logic: the CTSliceLocalizerLogic.
            run: calls a method of the logic with progress and Cancel in the panel; whether it worked.
        """
        self.ui, self.logic, self._run = ui, logic, run
        ui.worklistFolderButton.connect("clicked()", self.onFolder)
        ui.worklistDatabaseButton.connect("clicked()", self.onDatabase)
        ui.nextButton.connect("clicked()", self.onNext)
        ui.previousButton.connect("clicked()", self.onPrevious)
        ui.seriesSelector.connect("activated(int)", self.onChosen)

    def onFolder(self) -> None:
        """List the series of a folder."""
        path = qt.QFileDialog.getExistingDirectory(self.ui.worklistWidget, _("Folder with scans"), "")
        if path and self._run(self.logic.listSeries, path):
            self._run(self.logic.openNextUnlabelled)

    def onDatabase(self) -> None:
        """List the series of Slicer's DICOM database."""
        if self._run(self.logic.listSeries):
            self._run(self.logic.openNextUnlabelled)

    def onNext(self) -> None:
        """Open the next series."""
        self._run(self.logic.nextSeries)

    def onPrevious(self) -> None:
        """Open the series before."""
        self._run(self.logic.previousSeries)

    def onChosen(self, number: int) -> None:
        """Open a series of the list."""
        if 0 <= number != self.logic.worklist.current:
            self._run(self.logic.openSeries, number)

    def refresh(self) -> None:
        """Show the list with its counts, and how far it is done."""
        ui, worklist = self.ui, self.logic.worklist
        for control in (ui.seriesSelector, ui.previousButton, ui.nextButton, ui.worklistLabel):
            control.visible = bool(worklist.series)
        if not worklist.series:
            return
        counts = self.logic.seriesCounts()
        current = -1 if worklist.current is None else worklist.current
        wasBlocked = ui.seriesSelector.blockSignals(True)
        ui.seriesSelector.clear()
        for series, count in zip(worklist.series, counts):
            ui.seriesSelector.addItem(_("{count} labels: {series}").format(count=count, series=series.title))
        ui.seriesSelector.currentIndex = current
        ui.seriesSelector.blockSignals(wasBlocked)
        ui.previousButton.enabled = current > 0
        ui.nextButton.enabled = current + 1 < len(worklist.series)
        ui.worklistLabel.text = _("Series {number} of {total}; {done} of {total} labelled.").format(
            number=current + 1, total=len(counts), done=sum(count >= ENOUGH for count in counts)
        )
        ui.worklistLabel.toolTip = "\n".join(worklist.skipped) or _("A series counts from two labels on.")
