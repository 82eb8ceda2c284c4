"""Measures, histogram, surface and prepared volume of lungs in a segmentation; made when they are asked for."""

from __future__ import annotations

import slicer
import slicer.util
from CTVolumePanel import result_tables
from slicer.i18n import tr as _

from . import segmenting

ROWS = (
    (_("Volume (mL)"), "volume_ml", 0, _("With the vessels in it; of what the scan shows where it cuts the lungs.")),
    (_("Mean (HU)"), "mean_hu", 0, _("Mean density.")),
    (_("5th percentile (HU)"), "percentile_5_hu", 0, _("5 % of the lung are darker.")),
    (_("15th percentile (HU)"), "percentile_15_hu", 0, _("15 % of the lung are darker: a measure of emphysema.")),
    (_("Median (HU)"), "percentile_50_hu", 0, _("Half of the lung is darker.")),
    (_("85th percentile (HU)"), "percentile_85_hu", 0, _("85 % of the lung are darker.")),
    (_("95th percentile (HU)"), "percentile_95_hu", 0, _("95 % of the lung are darker.")),
    (_("Mass (g)"), "mass_g", 0, _("By density: air counts 0, water 1 g/mL.")),
    (_("Below -950 HU (%)"), "below_950_percent", 1, _("Share of emphysema, in scans in full inspiration.")),
    (_("Below -910 HU (%)"), "below_910_percent", 1, _("The same by an older, less strict limit.")),
)
"""Title, field of ``measure.LungMeasures``, decimals and explanation of each row."""

_measured: dict[tuple, tuple] = {}
"""The measures of the last lungs by times of change, which never repeat in a session."""


def measure(volumeNode, segmentationNode) -> tuple:
    """``LungSegmentLib.measure.LungMeasures`` of the left, the right and both lungs, as they are now."""
    from CTVolumeLib import scene
    from LungSegmentLib import measure as measuring

    # Not the node's own time: a table under the scan changes that.
    key = (volumeNode.GetImageData().GetMTime(), volumeNode.GetSpacing(), *segmenting.state(segmentationNode))
    if key not in _measured:
        labels = segmenting.labelsOf(volumeNode, segmentationNode)
        _measured.clear()
        _measured[key] = measuring.measure(scene.volume_from_node(volumeNode), labels)
    return _measured[key]


def showTable(volumeNode, segmentationNode):
    """Make a table of the measures and show it beside the slice views; the vtkMRMLTableNode."""
    measured = measure(volumeNode, segmentationNode)
    columns: dict[str, list] = {"measure": [row[0] for row in ROWS]}
    for one in measured:
        columns[one.name] = [round(getattr(one, row[1]), 2) for row in ROWS]
    return result_tables.show(volumeNode, segmenting.OWNER, f"{volumeNode.GetName()}: lung measures", columns)


def showHistogram(volumeNode, segmentationNode):
    """Make a chart of how many mL have which HU and show it beside the slice views; the vtkMRMLPlotChartNode."""
    from CTVolumeLib import scene
    from LungSegmentLib import measure as measuring

    labels = segmenting.labelsOf(volumeNode, segmentationNode)
    edges, parts = measuring.histogram(scene.volume_from_node(volumeNode), labels)
    name = f"{volumeNode.GetName()}: lung histogram"
    result_tables.forget(volumeNode, segmenting.OWNER, name, f"{name} table")
    columns = {"HU": edges + measuring.HISTOGRAM_STEP_HU / 2, **parts}
    table = scene.table_from_columns(f"{name} table", columns, volumeNode.GetScene())
    chart = scene.plot_from_table(
        table, "HU", list(parts), name, x_title="HU", y_title=f"mL in {measuring.HISTOGRAM_STEP_HU} HU"
    )
    scene.set_results(volumeNode, segmenting.OWNER, [table, chart])
    for node in (table, chart):
        scene.show_in_subject_hierarchy(node, volumeNode)
    slicer.modules.plots.logic().ShowChartInLayout(chart)
    return chart


def show3D(segmentationNode, shown: bool = True) -> None:
    """Show the surface of the segments in the 3D view, or hide it."""
    if shown:
        segmentationNode.CreateClosedSurfaceRepresentation()
    segmentationNode.GetDisplayNode().SetVisibility3D(shown)
    manager = slicer.app.layoutManager()
    if not shown or manager is None:
        return
    if not manager.threeDViewCount:
        manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    view = manager.threeDWidget(0).threeDView()
    view.resetFocalPoint()


def shows3D(segmentationNode) -> bool:
    """Whether the surface is shown."""
    if segmentationNode is None or segmentationNode.GetDisplayNode() is None:
        return False
    has = segmentationNode.GetSegmentation().ContainsRepresentation("Closed surface")
    return has and bool(segmentationNode.GetDisplayNode().GetVisibility3D())


def preprocess(
    volumeNode,
    segmentationNode,
    cropMarginMm: float | None = 10,
    spacingMm: float | None = 1,
    normalize: bool = True,
    zeroCenter: bool = True,
):
    """Make a volume as networks want it; the vtkMRMLScalarVolumeNode, see ``preprocess.PreprocessOptions``."""
    from CTVolumeLib import scene
    from LungSegmentLib import preprocess as preparing

    options = preparing.PreprocessOptions(cropMarginMm, spacingMm, normalize, zeroCenter and normalize)
    volume = scene.volume_from_node(volumeNode)
    labels = None if cropMarginMm is None else segmenting.labelsOf(volumeNode, segmentationNode)
    prepared = preparing.preprocess(volume, labels, options)
    with scene.temporary_nodes(volumeNode.GetScene()) as keep:
        node = scene.node_from_volume(prepared, f"{volumeNode.GetName()} prepared", volumeNode.GetScene())
        keep(node)
    node.GetDisplayNode().SetDefaultColorMap()
    node.GetDisplayNode().SetAutoWindowLevel(False)
    low, high = (-0.25, 0.75) if options.zero_center else (0, 1) if normalize else (-1000, 400)
    node.GetDisplayNode().SetWindowLevelMinMax(low, high)
    scene.show_in_subject_hierarchy(node, volumeNode)
    return node
