"""The result of Locate in the scene: nodes that people see, and one that the program reads the result from again.

A located volume refers to a table, a chart, a landmark table, points, and a hidden text node. The text holds the whole
result as JSON and is written into the scene file itself, so that a saved scene brings the locations back. It also says
which voxels at which place were located: where either has changed since, ``locationOf`` says nothing rather than
something wrong.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass
from typing import NamedTuple

import slicer
import slicer.util
import vtk

ROLE = "locations"
"""Under this role ``scene.set_results`` notes the nodes at the volume."""

_DATA_ROLE = "CTSliceLocalizer.locationData"
_SCHEMA = "ct-slicer-location/1"
_PLACE_TOLERANCE_MM = 0.1
_SAMPLES = 500_000
"""So many voxels are compared to notice that a volume has changed."""

_MARK_PERCENT = 5.0
"""Size of the marks, as a part of the view: a dash needs more than a dot, which has 3."""

NOT_LOCATED = "This volume is not located yet: press Locate."
MOVED = "The volume was moved since it was located: press Locate again."
CHANGED = "The voxels of the volume changed since it was located: press Locate again."

_Point = tuple[float, float, float]


@dataclass(frozen=True)
class BodyAxis:
    """The line through the centres of a volume's slices, in world RAS mm.

    Attributes:
        foot: centre of the lowest slice.
        head: centre of the highest slice; at least a tenth of a millimetre higher.
        normal: unit vector perpendicular to the slices, towards the head.
    """

    foot: _Point
    head: _Point
    normal: _Point

    def heightOf(self, pointRas) -> float:
        """Height (z) of the centre of the slice that a point of the world lies in: the ``z_mm`` of a ScanLocation."""
        return self._crossing(pointRas, self.normal)

    def heightOfPlane(self, pointRas, normal) -> float | None:
        """Height (z) at which a plane crosses the axis; None for planes along the body, such as sagittal ones."""
        if abs(_dot(normal, self.normal)) < 0.7:
            return None
        return self._crossing(pointRas, normal)

    def pointAt(self, zMm: float) -> _Point:
        """The point of the axis at a height, world RAS mm."""
        share = (zMm - self.foot[2]) / (self.head[2] - self.foot[2])
        return tuple(low + share * (high - low) for low, high in zip(self.foot, self.head))

    def _crossing(self, pointRas, normal) -> float:
        along = _difference(self.head, self.foot)
        share = _dot(_difference(pointRas, self.foot), normal) / _dot(along, normal)
        return self.foot[2] + share * along[2]


class Place(NamedTuple):
    """Where in the body something lies: on the article's scale, its standard deviation there, and in words."""

    location: float
    sigma: float
    words: str


@dataclass(frozen=True)
class LocationNodes:
    """The nodes that belong to a located volume; None where a scan was refused or the user removed one."""

    data: object
    table: object = None
    landmarkTable: object = None
    chart: object = None
    markups: object = None


def storeLocation(volumeNode, location) -> LocationNodes:
    """Put a result into the scene, in the place of an earlier one of the same volume.

    Args:
        volumeNode: what was located.
        location: a ``CTSliceLocalizerLib.results.ScanLocation``; one that was refused is kept as well, without tables.
    """
    from CTVolumeLib import scene

    clearLocation(volumeNode)
    axis = _axis(volumeNode)
    with scene.temporary_nodes(volumeNode.GetScene()) as keep:
        nodes = LocationNodes(_dataNode(volumeNode, location, axis))
        if location.refused is None:
            nodes = LocationNodes(nodes.data, *_visibleNodes(volumeNode, location, axis))
        made = [node for node in vars(nodes).values() if node is not None]
        for name, node in vars(nodes).items():
            if node is not None and node is not nodes.data:
                nodes.data.SetNodeReferenceID(name, node.GetID())
        scene.set_results(volumeNode, ROLE, made)
        for node in made:
            keep(node)
            if node is not nodes.data:
                scene.show_in_subject_hierarchy(node, volumeNode)
        volumeNode.SetNodeReferenceID(_DATA_ROLE, nodes.data.GetID())
    return nodes


def locationOf(volumeNode):
    """The result that is kept for a volume.

    Returns:
        A ScanLocation, which may be a refused one; None where there is none that still holds, see ``whyNoLocation``.
    """
    found = _read(volumeNode)
    return None if found is None or whyNoLocation(volumeNode) else found.location


def whyNoLocation(volumeNode) -> str:
    """Why ``locationOf`` gives None, a sentence for the panel; empty where it gives a result."""
    found = _read(volumeNode)
    if found is None:
        return NOT_LOCATED
    place = _place(volumeNode)
    if len(place) != len(found.place) or any(
        abs(now - then) > _PLACE_TOLERANCE_MM for now, then in zip(place, found.place)
    ):
        return MOVED
    if _voxels(volumeNode) != found.voxels:
        return CHANGED
    return ""


def axisOf(volumeNode) -> BodyAxis | None:
    """The axis of a located volume; None where ``locationOf`` gives None."""
    return None if locationOf(volumeNode) is None else _read(volumeNode).axis


def nodesOf(volumeNode) -> LocationNodes | None:
    """The nodes of a located volume."""
    data = volumeNode.GetNodeReference(_DATA_ROLE) if volumeNode is not None else None
    if data is None:
        return None
    return LocationNodes(
        data,
        **{name: data.GetNodeReference(name) for name in ("table", "landmarkTable", "chart", "markups")},
    )


def levelMarks(markups) -> None:
    """Dashes, no dots: only the height means something, and a dot would mark the anatomy that it happens to lie on."""
    markups.GetDisplayNode().SetGlyphType(slicer.vtkMRMLMarkupsDisplayNode.Dash2D)
    markups.GetDisplayNode().SetGlyphScale(_MARK_PERCENT)


def hideLandmarks(volumeNode) -> None:
    """Show no points in the views; they can be shown again in the Data module."""
    nodes = nodesOf(volumeNode)
    if nodes is not None and nodes.markups is not None:
        nodes.markups.SetDisplayVisibility(False)


def clearLocation(volumeNode) -> None:
    """Remove a volume's result with all its nodes."""
    from CTVolumeLib import scene

    scene.remove_results(volumeNode, ROLE)
    volumeNode.RemoveNodeReferenceIDs(_DATA_ROLE)


def placeAt(volumeNode, zMm: float) -> Place | None:
    """Where in the body a height of a located volume lies; None outside the scan or where it is not located.

    Args:
        volumeNode: a located volume.
        zMm: world z in mm of a slice's centre, as ``BodyAxis.heightOf`` gives.
    """
    import numpy as np
    from CTSliceLocalizerLib.landmarks import words

    location = locationOf(volumeNode)
    if location is None or location.refused is not None:
        return None
    z = location.z_mm
    half = abs(z[-1] - z[0]) / max(len(z) - 1, 1) / 2
    if not z.min() - half <= zMm <= z.max() + half:
        return None
    value, sigma, body = (
        float(np.interp(zMm, z, values)) for values in (location.location, location.sigma, location.body_mm)
    )
    return Place(value, sigma, words(body))


# What is kept


@dataclass(frozen=True)
class _Kept:
    location: object
    axis: BodyAxis
    place: tuple[float, ...]
    voxels: int


_kept: dict[tuple[str, int], _Kept] = {}
_sums: dict[int, int] = {}
"""Read once: what data nodes hold and checksums of images, by modification times, which never repeat in a session."""


def _read(volumeNode) -> _Kept | None:
    data = volumeNode.GetNodeReference(_DATA_ROLE) if volumeNode is not None else None
    if data is None:
        return None
    key = data.GetMTime()
    if key not in _kept:
        _remember(_kept, key, _parse(data.GetText()))
    return _kept[key]


def _parse(text: str) -> _Kept | None:
    """None for a text that was written by another version or was changed by someone."""
    from CTSliceLocalizerLib import results
    from CTVolumeLib.errors import CTError

    try:
        content = json.loads(text)
        if content["schema"] != _SCHEMA:
            return None
        axis = BodyAxis(**{name: tuple(value) for name, value in content["axis"].items()})
        return _Kept(results.from_json(content["location"]), axis, tuple(content["place"]), content["voxels"])
    except (ValueError, KeyError, TypeError, AttributeError, CTError):
        return None


def _remember(cache: dict, key, value) -> None:
    if len(cache) >= 16:
        del cache[next(iter(cache))]
    cache[key] = value


def _place(volumeNode) -> list[float]:
    """World RAS of corners and middle slice of the volume: changes with every transform that moves it."""
    image = volumeNode.GetImageData()
    if image is None:
        return []
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    transform = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(volumeNode.GetParentTransformNode(), None, transform)
    columns, rows, slices = (size - 1 for size in image.GetDimensions())
    place: list[float] = []
    for k in (0, slices / 3, slices / 2, slices):
        for i, j in ((0, 0), (columns, 0), (0, rows)):
            place += transform.TransformPoint(matrix.MultiplyPoint((i, j, k, 1))[:3])
    return [round(value, 3) for value in place]


def _voxels(volumeNode) -> int:
    """A checksum over an even sample of the voxels."""
    image = volumeNode.GetImageData()
    if image is None:
        return 0
    key = image.GetMTime()
    if key not in _sums:
        array = slicer.util.arrayFromVolume(volumeNode)
        sample = array.ravel()[:: max(1, array.size // _SAMPLES)]
        _remember(_sums, key, zlib.crc32(sample.astype("<f4").tobytes()))
    return _sums[key]


def _axis(volumeNode) -> BodyAxis:
    from CTVolumeLib import scene

    volume = scene.volume_from_node(volumeNode).as_axial()
    _, rows, columns = volume.array.shape
    axes = volume.axes()
    middle = axes[:, 0] * volume.spacing[0] * (columns - 1) / 2 + axes[:, 1] * volume.spacing[1] * (rows - 1) / 2
    to_ras = (-1, -1, 1)
    centres = (volume.origins()[[0, -1]] + middle) * to_ras
    normal = axes[:, 2] * to_ras
    if centres[1][2] - centres[0][2] < _PLACE_TOLERANCE_MM:  # a single slice
        centres[1] = centres[0] + normal
    return BodyAxis(*(tuple(float(value) for value in point) for point in (*centres, normal)))


# The nodes


def _dataNode(volumeNode, location, axis: BodyAxis):
    node = volumeNode.GetScene().AddNewNodeByClass("vtkMRMLTextNode", f"{volumeNode.GetName()}: location data")
    node.SetHideFromEditors(True)
    # Kept in the scene file itself: the dialog that saves data leaves hidden nodes out.
    node.SetForceCreateStorageNode(slicer.vtkMRMLTextNode.CreateStorageNodeNever)
    content = {
        "schema": _SCHEMA,
        "place": _place(volumeNode),
        "voxels": _voxels(volumeNode),
        "axis": asdict(axis),
        "location": location.to_json(),
    }
    node.SetText(json.dumps(content, separators=(",", ":")))
    return node


def _visibleNodes(volumeNode, location, axis: BodyAxis) -> tuple:
    """Table, landmark table, chart and points."""
    from CTSliceLocalizerLib.landmarks import words
    from CTVolumeLib import scene

    name, mrml = volumeNode.GetName(), volumeNode.GetScene()
    table = scene.table_from_columns(
        f"{name}: locations",
        {
            "slice": location.index,
            "z (mm)": location.z_mm,
            "location raw": location.raw,
            "location fitted": location.location,
            "sigma": location.sigma,
            "region": [words(body) for body in location.body_mm],
        },
        mrml,
    )
    inside = [estimate for estimate in location.landmarks if estimate.inside]
    landmarkTable = scene.table_from_columns(
        f"{name}: landmark table",
        {
            "landmark": [estimate.name for estimate in inside],
            "z (mm)": [estimate.z_mm for estimate in inside],
            "+- (mm)": [estimate.sigma_mm for estimate in inside],
            "location": [estimate.location for estimate in inside],
        },
        mrml,
    )
    chart = scene.plot_from_table(
        table,
        "z (mm)",
        ["location raw", "location fitted"],
        f"{name}: location plot",
        x_title="z (mm): feet left, head right",
        y_title="location (0 top of head, 0.5 femoral head)",
        points=["location raw"],
    )
    if inside:
        chart.AddAndObservePlotSeriesNodeID(_landmarkSeries(landmarkTable).GetID())
    markups = scene.markups_from_points(
        f"{name}: landmarks",
        [axis.pointAt(estimate.z_mm) for estimate in inside],
        [estimate.name for estimate in inside],
        [f"+- {estimate.sigma_mm:.1f} mm" for estimate in inside],
        mrml,
    )
    levelMarks(markups)
    return table, landmarkTable, chart, markups


def _landmarkSeries(table):
    series = table.GetScene().AddNewNodeByClass("vtkMRMLPlotSeriesNode", "landmarks")
    series.SetAndObserveTableNodeID(table.GetID())
    series.SetXColumnName("z (mm)")
    series.SetYColumnName("location")
    series.SetLabelColumnName("landmark")
    series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
    series.SetLineStyle(slicer.vtkMRMLPlotSeriesNode.LineStyleNone)
    series.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleDiamond)
    series.SetMarkerSize(11)
    series.SetColor(0.84, 0.15, 0.16)
    return series


def _difference(a, b) -> _Point:
    return tuple(float(x) - float(y) for x, y in zip(a, b))


def _dot(a, b) -> float:
    return sum(float(x) * float(y) for x, y in zip(a, b))
