"""Measures in a panel's table, and as a table node beside the views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import qt
import slicer

_ROW_HEIGHT = 19
_COLOUR_SIZE = 9


def setUp(tableWidget, titles: Sequence[str], rows: int) -> None:
    """Give a QTableWidget its columns and the height of so many rows; the first column takes what is left."""
    tableWidget.setColumnCount(len(titles))
    tableWidget.setHorizontalHeaderLabels(titles)
    tableWidget.setRowCount(rows)
    tableWidget.horizontalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)
    tableWidget.horizontalHeader().setSectionResizeMode(0, qt.QHeaderView.Stretch)
    tableWidget.setIconSize(qt.QSize(_COLOUR_SIZE, _COLOUR_SIZE))
    tableWidget.verticalHeader().setVisible(False)
    tableWidget.verticalHeader().setMinimumSectionSize(_ROW_HEIGHT)
    tableWidget.verticalHeader().setDefaultSectionSize(_ROW_HEIGHT)
    tableWidget.setFixedHeight((rows + 1) * _ROW_HEIGHT + 8)


def setRow(tableWidget, row: int, texts: Sequence[str], toolTip: str) -> None:
    """Fill in a row: a name, and numbers at the right."""
    for column, text in enumerate(texts):
        item = qt.QTableWidgetItem(text)
        item.setToolTip(toolTip)
        if column:
            item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
        tableWidget.setItem(row, column, item)


def show(volumeNode, owner: str, name: str, columns: Mapping[str, Sequence]):
    """Make a table of a volume's results, in the place of the one before, and show it beside the slice views.

    Args:
        volumeNode: what was measured.
        owner: name of the module, as in ``CTVolumeLib.scene.set_results``.
        name: of the table.
        columns: values by title.

    Returns:
        vtkMRMLTableNode.
    """
    from CTVolumeLib import scene

    forget(volumeNode, owner, name)
    table = scene.table_from_columns(name, columns, volumeNode.GetScene())
    scene.set_results(volumeNode, owner, [table])
    scene.show_in_subject_hierarchy(table, volumeNode)
    if slicer.app.layoutManager() is not None:
        slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpTableView)
    slicer.app.applicationLogic().GetSelectionNode().SetActiveTableID(table.GetID())
    slicer.app.applicationLogic().PropagateTableSelection()
    return table


def forget(volumeNode, owner: str, *names: str) -> None:
    """Remove the results of these names that an earlier press of the same button made."""
    from CTVolumeLib import scene

    for node in scene.results(volumeNode, owner):
        if node.GetName() in names:
            scene.remove_node(node)
