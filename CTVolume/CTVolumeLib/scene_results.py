"""Results as nodes of Slicer's scene: segmentations, tables, charts, points. Used through ``scene``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from .errors import CTError
from .segments import LabelSegment

_SERIES_COLORS = ((0.12, 0.47, 0.71), (1.0, 0.5, 0.05), (0.17, 0.63, 0.17), (0.84, 0.15, 0.16))


def segmentation_from_labels(volume_node, labels: np.ndarray, segments: Sequence[LabelSegment], name: str):
    """A segmentation on the grid of a volume and under the same transform.

    Args:
        volume_node: the volume that was segmented.
        labels: (k, j, i) integers on its grid. Values without a segment are left out.
        segments: one for each value.
        name: of the segmentation node.

    Returns:
        vtkMRMLSegmentationNode with one segment for each entry, in that order, also for values that don't occur.

    Raises:
        CTError: the labels are not on the grid of the volume.
    """
    size = volume_node.GetImageData().GetDimensions()[::-1]
    if labels.shape != size:
        raise CTError("bad_shape", f"The labels have the shape {labels.shape}, {volume_node.GetName()} {size}.")
    largest = max((segment.value for segment in segments), default=0)
    kept = np.zeros(largest + 1, dtype=np.uint8 if largest < 256 else np.int16)
    for segment in segments:
        kept[segment.value] = segment.value
    labels = kept[np.where((labels >= 0) & (labels <= largest), labels, 0)]
    node = volume_node.GetScene().AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume_node)
    node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
    layer = _oriented_image(labels, volume_node)  # one layer for all: they don't overlap
    for entry in segments:
        segment = slicer.vtkSegment()
        segment.SetName(entry.name)
        if entry.color is not None:
            # Slicer takes medium grey for "no colour yet" and rolls the dice.
            segment.SetColor(*(entry.color if tuple(entry.color) != (0.5, 0.5, 0.5) else [128 / 255] * 3))
        segment.SetLabelValue(entry.value)
        if entry.terminology:
            segment.SetTag(segment.GetTerminologyEntryTagName(), entry.terminology)
        segment.AddRepresentation(slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName(), layer)
        node.GetSegmentation().AddSegment(segment)
    node.CreateDefaultDisplayNodes()
    return node


def table_from_columns(name: str, columns: Mapping[str, Sequence], scene: slicer.vtkMRMLScene | None = None):
    """A table node.

    Args:
        name: of the node.
        columns: values by column name, all of one length; numbers, or texts. None is NaN or an empty text.
        scene: where to make it.

    Returns:
        vtkMRMLTableNode.
    """
    node = (scene or slicer.mrmlScene).AddNewNodeByClass("vtkMRMLTableNode", name)
    with slicer.util.NodeModify(node):
        for title, values in columns.items():
            node.AddColumn(_column(title, list(values)))
    return node


def plot_from_table(
    table_node,
    x: str,
    ys: Sequence[str],
    name: str,
    *,
    x_title: str = "",
    y_title: str = "",
    points: Sequence[str] = (),
):
    """A chart of columns of a table.

    Args:
        table_node: where the columns are.
        x: column of the x axis.
        ys: columns to draw against it.
        name: of the chart node.
        x_title: title of the x axis, with the unit; the column's name where it is empty.
        y_title: title of the y axis.
        points: those of ``ys`` that are drawn as points, not as a line.

    Returns:
        vtkMRMLPlotChartNode; its series are nodes of their own.
    """
    scene = table_node.GetScene()
    chart = scene.AddNewNodeByClass("vtkMRMLPlotChartNode", name)
    chart.SetTitle(name)
    chart.SetXAxisTitle(x_title or x)
    chart.SetYAxisTitle(y_title)
    for number, y in enumerate(ys):
        series = scene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", y)
        series.SetAndObserveTableNodeID(table_node.GetID())
        series.SetXColumnName(x)
        series.SetYColumnName(y)
        series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
        series.SetColor(*_SERIES_COLORS[number % len(_SERIES_COLORS)])
        if y in points:
            series.SetLineStyle(slicer.vtkMRMLPlotSeriesNode.LineStyleNone)
            series.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleCircle)
        else:
            series.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleNone)
        chart.AddAndObservePlotSeriesNodeID(series.GetID())
    return chart


def markups_from_points(
    name: str,
    points_ras: np.ndarray,
    labels: Sequence[str],
    descriptions: Sequence[str] = (),
    scene: slicer.vtkMRMLScene | None = None,
):
    """A list of locked points.

    Args:
        name: of the node.
        points_ras: (n, 3) RAS mm in the world.
        labels: (n,) names that are shown.
        descriptions: (n,) longer texts, or nothing.
        scene: where to make it.

    Returns:
        vtkMRMLMarkupsFiducialNode.
    """
    node = (scene or slicer.mrmlScene).AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
    node.CreateDefaultDisplayNodes()
    for number, (point, label) in enumerate(zip(np.asarray(points_ras, dtype=float), labels)):
        node.AddControlPointWorld(vtk.vtkVector3d(*point), label)
        if descriptions:
            node.SetNthControlPointDescription(number, descriptions[number])
    node.SetLocked(True)
    return node


def _oriented_image(labels: np.ndarray, volume_node):
    """Labels (k, j, i) as the image of a segment on the grid of the volume."""
    matrix = vtk.vtkMatrix4x4()
    volume_node.GetIJKToRASMatrix(matrix)
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(*labels.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(labels.ravel(), deep=True))
    image.SetGeometryFromImageToWorldMatrix(matrix)
    return image


def _column(title: str, values: list):
    """A column of a table: numbers where all values are numbers or None, else texts."""
    if all(value is None or isinstance(value, (int, float, np.number)) for value in values):
        numbers = np.array([np.nan if value is None else value for value in values], dtype=float)
        column = numpy_to_vtk(numbers, deep=True)
    else:
        column = vtk.vtkStringArray()
        for value in values:
            column.InsertNextValue("" if value is None else str(value))
    column.SetName(title)
    return column
