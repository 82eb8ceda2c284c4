"""The table of landmarks: keys, and where each is labelled or proposed."""

from __future__ import annotations

import qt
from slicer.i18n import tr as _

_COLUMNS = ("Key", "Landmark", "Slice", "z (mm)")
_NAME, _SLICE = 1, 2


class LabelTable:
    """Fills a QTableWidget with landmarks, one row for each, and knows them by name."""

    def __init__(self, table) -> None:
        """Lay the columns out; the landmark's takes the width that the others leave."""
        self.table = table
        table.setColumnCount(len(_COLUMNS))
        table.setHorizontalHeaderLabels([_(title) for title in _COLUMNS])
        table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        table.horizontalHeader().setSectionResizeMode(_NAME, qt.QHeaderView.Stretch)
        table.verticalHeader().setVisible(False)
        table.verticalHeader().setDefaultSectionSize(20)

    @property
    def current(self) -> str:
        """The landmark of the current row, the first where there is none; empty in an empty table."""
        item = self.table.item(max(self.table.currentRow(), 0), _NAME)
        return item.text() if item is not None else ""

    def select(self, name: str) -> None:
        """Make a landmark's row the current one; no signal is sent."""
        wasBlocked = self.table.blockSignals(True)
        for row in range(self.table.rowCount):
            if self.table.item(row, _NAME).text() == name:
                self.table.setCurrentCell(row, _NAME)
        self.table.blockSignals(wasBlocked)

    def fill(self, labelling) -> None:
        """Show an ``annotating.Labelling``; the current row stays, and no signal is sent."""
        from CTSliceLocalizerLib.landmarks import LANDMARKS

        table = self.table
        levels = {landmark.name: landmark.level for landmark in LANDMARKS}
        wasBlocked = table.blockSignals(True)
        current = max(table.currentRow(), 0)
        wrong = {name for problem in labelling.contradictions for name in problem.landmarks}
        table.setRowCount(len(labelling.rows))
        for number, row in enumerate(labelling.rows):
            texts, tip = _cells(row)
            for column, text in enumerate(texts):
                item = qt.QTableWidgetItem(f"\u26a0 {text}" if row.name in wrong and column == _SLICE else text)
                item.setToolTip(f"{row.name} ({levels[row.name]}): {tip}")
                if row.position is None and column > _NAME:
                    font = item.font()
                    font.setItalic(True)
                    item.setFont(font)
                    item.setForeground(table.palette.brush(qt.QPalette.Active, qt.QPalette.PlaceholderText))
                if column != _NAME:
                    item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
                table.setItem(number, column, item)
        if labelling.rows:
            table.setCurrentCell(current, _NAME)
        table.blockSignals(wasBlocked)


def _cells(row) -> tuple[tuple[str, str, str, str], str]:
    """The texts of a row, and its tooltip."""
    if row.position is not None:
        return (row.key, row.name, str(row.index), f"{row.zMm:.1f}"), row.file
    if row.proposal is not None:
        near = row.proposal
        tip = _("proposed by the model. Enter shows it, Enter again accepts it.")
        return (row.key, row.name, f"{row.index}?", f"{near.zMm:.0f} \u00b1 {near.sigmaMm:.0f}"), tip
    return (row.key, row.name, "", ""), _("press {key} on the slice that shows it.").format(key=row.key)
