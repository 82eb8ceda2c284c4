"""What is made of lungs when it is asked for: table, histogram, surface, difference, recipe, prepared volume."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import support_mrml as mrml
from support_segment_panel import apply, names


def test_table_and_histogram_are_shown_and_go_with_clear(slicer_app, panel, volume):
    import slicer

    manager = slicer.app.layoutManager()
    layout = manager.layout
    apply(slicer_app, panel, volume)
    slicer_app.click(panel.ui.tableButton)  # views of layouts are there from now on
    slicer_app.click(panel.ui.histogramButton)
    slicer_app.click(panel.ui.clearButton)
    before = mrml.node_ids(slicer_app.scene)
    segmentation = apply(slicer_app, panel, volume)
    for _ in range(2):
        slicer_app.click(panel.ui.tableButton)
        slicer_app.click(panel.ui.histogramButton)
    selection = slicer.app.applicationLogic().GetSelectionNode()
    table = slicer.mrmlScene.GetNodeByID(selection.GetActiveTableID())
    assert table.GetColumnName(3) == "both lungs"
    measured = panel.logic.measure(volume, segmentation)
    assert float(table.GetCellText(0, 3)) == pytest.approx(measured[2].volume_ml, abs=0.01)
    chart = slicer.mrmlScene.GetNodeByID(selection.GetActivePlotChartID())
    assert chart.GetNumberOfPlotSeriesNodes() == 2
    bins = chart.GetNthPlotSeriesNode(0).GetTableNode()
    volumes = [float(bins.GetCellText(row, 1)) for row in range(bins.GetNumberOfRows())]
    assert sum(volumes) == pytest.approx(measured[0].volume_ml, rel=1e-3)
    assert len(slicer.util.getNodesByClass("vtkMRMLPlotChartNode")) == 1, "pressed twice, made once"
    assert manager.layout != layout
    slicer_app.click(panel.ui.clearButton)
    assert mrml.node_ids(slicer_app.scene) == before
    assert manager.layout == layout


def test_tables_of_the_result_before_do_not_stay(slicer_app, panel, volume):
    import slicer

    apply(slicer_app, panel, volume)
    slicer_app.click(panel.ui.tableButton)
    apply(slicer_app, panel, volume)
    assert slicer.mrmlScene.GetFirstNodeByName("CT: lung measures") is None


def test_surface_on_request(slicer_app, panel, volume):
    segmentation = apply(slicer_app, panel, volume)
    held = segmentation.GetSegmentation()
    assert not held.ContainsRepresentation("Closed surface")
    slicer_app.click(panel.ui.surfaceButton)
    assert held.GetNthSegment(0).GetRepresentation("Closed surface").GetNumberOfPoints() > 100
    before = held.GetNthSegment(0).GetRepresentation("Closed surface").GetNumberOfPoints()
    assert panel.ui.surfaceButton.checked
    panel.widget.parameterNode.thresholdHu = -700
    slicer_app.click(panel.ui.applyButton)
    after = held.GetNthSegment(0).GetRepresentation("Closed surface")
    assert after is not None, "the surface follows the new lungs"
    assert after.GetNumberOfPoints() != before
    slicer_app.click(panel.ui.surfaceButton)
    assert not segmentation.GetDisplayNode().GetVisibility3D()
    assert not panel.ui.surfaceButton.checked


def test_difference_is_what_is_dense_in_the_lungs(slicer_app, panel, volume):
    import slicer

    segmentation = apply(slicer_app, panel, volume)
    slicer_app.click(panel.ui.differenceButton)
    assert names(segmentation)[-1] == "dense in lungs"
    identifier = segmentation.GetSegmentation().GetNthSegmentID(3)
    dense = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, identifier, volume) > 0
    labels, array = panel.logic.labels(volume, segmentation), slicer.util.arrayFromVolume(volume)
    assert np.array_equal(dense, np.isin(labels, (1, 2)) & (array >= -320))
    assert dense.any()
    assert "edited" not in panel.ui.lightLabel.text
    assert panel.ui.differenceButton.checked
    slicer_app.click(panel.ui.differenceButton)
    assert names(segmentation) == ["left lung", "right lung", "trachea"]


# Classic recipe


def test_the_recipe_is_shown_step_by_step_and_leaves_nothing(slicer_app, panel, volume):
    ui = panel.recipe.ui
    slicer_app.click(panel.recipe.button)
    before = mrml.node_ids(slicer_app.scene)
    assert not ui.previousButton.isEnabled()
    seen = []
    for _ in range(5):
        slicer_app.click(ui.nextButton)
        shown = [
            slicer_app.scene.GetNodeByID(identifier)
            for identifier in mrml.node_ids(slicer_app.scene) - before
            if identifier.startswith("vtkMRMLScalarVolumeNode")
        ]
        seen.append((len(shown), shown[0].GetName(), shown[0].GetImageData().GetScalarRange()))
    assert [count for count, _name, _range in seen] == [1] * 5
    assert [name[0] for _count, name, _range in seen] == list("12345")
    assert {limits for _count, _name, limits in seen} == {(0.0, 1.0)}
    assert not ui.nextButton.isEnabled()
    assert "vessels" in ui.stepLabel.text
    slicer_app.click(ui.previousButton)
    assert ui.stepSelector.currentText.startswith("4")
    slicer_app.leave()
    assert mrml.node_ids(slicer_app.scene) == before


def test_the_options_of_the_recipe_change_the_step_that_is_shown(slicer_app, panel, volume):
    slicer_app.click(panel.recipe.button)
    ui = panel.recipe.ui
    slicer_app.choose(ui.stepSelector, 4)

    def shown():
        (node,) = [node for node in slicer_app.scene.GetNodesByClass("vtkMRMLScalarVolumeNode") if node is not volume]
        import slicer.util

        return int(slicer.util.arrayFromVolume(node).sum())

    filled = shown()
    slicer_app.click(ui.fillCheckBox)
    assert shown() < filled
    slicer_app.click(ui.fillCheckBox)
    ui.pocketsSpinBox.value = 3
    slicer_app.settle()
    assert shown() >= filled
    slicer_app.choose(ui.backgroundSelector, 2)
    assert panel.widget.parameterNode.backgroundIndex == 2
    panel.widget.parameterNode.thresholdHu = -700
    slicer_app.settle()
    assert shown() != filled


def test_preview_and_recipe_take_turns(slicer_app, panel, volume):
    slicer_app.choose(panel.ui.inputSelector, volume)
    slicer_app.click(panel.ui.previewCheckBox)
    slicer_app.click(panel.recipe.button)
    slicer_app.choose(panel.recipe.ui.stepSelector, 1)
    assert not panel.ui.previewCheckBox.checked
    slicer_app.click(panel.ui.previewCheckBox)
    assert panel.recipe.ui.stepSelector.currentIndex == 0
    slicer_app.click(panel.ui.previewCheckBox)
    assert slicer_app.scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 1


# Prepared volume


def test_a_prepared_volume_has_the_spacing_values_and_place_that_were_asked_for(slicer_app, panel, volume, patient):
    import slicer

    apply(slicer_app, panel, volume)
    slicer_app.click(panel.prepare.button)
    ui = panel.prepare.ui
    ui.spacingSpinBox.value = 4
    slicer_app.settle()
    slicer_app.click(ui.makeButton)
    node = slicer.mrmlScene.GetFirstNodeByName("CT prepared")
    assert "CT prepared" in ui.messageLabel.text
    assert node.GetSpacing() == pytest.approx((4, 4, 4), rel=0.05)
    array = slicer.util.arrayFromVolume(node)
    assert array.min() == pytest.approx(-0.25)
    assert array.max() == pytest.approx(0.75)
    whole, part = [0.0] * 6, [0.0] * 6
    volume.GetRASBounds(whole)
    node.GetRASBounds(part)
    assert whole[0] < part[0] < part[1] < whole[1]
    assert node.GetDisplayNode() is not None


def test_preparing_needs_lungs_only_for_cropping(slicer_app, panel, volume):
    import slicer

    slicer_app.choose(panel.ui.inputSelector, volume)
    slicer_app.click(panel.prepare.button)
    ui = panel.prepare.ui
    slicer_app.click(ui.makeButton)
    assert "There are no lungs of this scan yet" in ui.messageLabel.text
    for box in (ui.cropCheckBox, ui.resampleCheckBox, ui.normalizeCheckBox):
        slicer_app.click(box)
    assert not ui.zeroCheckBox.isEnabled()
    assert not ui.marginSpinBox.isEnabled()
    slicer_app.click(ui.makeButton)
    node = slicer.mrmlScene.GetFirstNodeByName("CT prepared")
    assert np.array_equal(slicer.util.arrayFromVolume(node), slicer.util.arrayFromVolume(volume))


def test_the_margin_and_the_settings_are_used(slicer_app, panel, volume):
    import slicer

    apply(slicer_app, panel, volume)
    slicer_app.click(panel.prepare.button)
    ui, sizes = panel.prepare.ui, []
    slicer_app.click(ui.resampleCheckBox)
    slicer_app.click(ui.zeroCheckBox)
    for margin in (0, 20):
        ui.marginSpinBox.value = margin
        slicer_app.settle()
        slicer_app.click(ui.makeButton)
        node = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")[-1]
        sizes.append(node.GetImageData().GetDimensions()[1])
        assert slicer.util.arrayFromVolume(node).min() == 0
    assert sizes[1] - sizes[0] == 2 * 7, "20 mm are seven pixels of 3 mm on each side"


def test_notches_are_filled_as_far_as_is_asked_for(slicer_app, panel, volume):
    counts = []
    for millimetres in (0, 12):
        panel.ui.closingSpinBox.value = millimetres
        slicer_app.settle()
        labels = panel.logic.labels(volume, apply(slicer_app, panel, volume))
        counts.append(np.count_nonzero(np.isin(labels, (1, 2))))
    assert counts[1] > 1.005 * counts[0]


def test_every_control_is_used_by_a_test():
    tests = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    forms = Path(__file__).parents[2] / "LungSegment" / "Resources" / "UI"
    used = "QPushButton|QCheckBox|QComboBox|QDoubleSpinBox|QSpinBox|QTableWidget|ctkSliderWidget|qMRMLNodeComboBox"
    controls = [
        name
        for form in forms.glob("*.ui")
        for name in re.findall(rf'<widget class="(?:{used})" name="(\w+)"', form.read_text("utf-8"))
    ]
    assert len(controls) > 20
    assert [name for name in controls if not re.search(rf"\b{name}\b", tests)] == []


@pytest.mark.slow
def test_the_self_test_passes(slicer_app):
    slicer_app.load("LungSegment", enter=False).file.LungSegmentTest().runTest()
