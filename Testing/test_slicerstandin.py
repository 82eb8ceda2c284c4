"""The stand-in behaves as PythonQt and Slicer do where Python for Qt differs, and raises where they hide a mistake."""

from __future__ import annotations

import enum
from typing import Annotated

import pytest


def test_properties_are_values_and_other_getters_are_calls(slicer_app):
    import qt

    button = qt.QPushButton("Locate")
    assert (button.text, button.enabled, button.isVisible()) == ("Locate", True, False)
    button.toolTip = "a"
    assert button.toolTip == "a"
    assert (qt.QTableWidget(2, 3).rowCount, qt.QComboBox().count) == (2, 0)
    with pytest.raises(TypeError):
        button.text()
    with pytest.raises(TypeError, match="call it"):
        assert button.isVisible


def test_name_is_the_object_name(slicer_app):
    import qt

    label = qt.QLabel()
    label.name = "title"
    assert label.objectName == "title"
    assert label.className() == "QLabel"


def test_unknown_attributes_are_refused_on_what_slicer_has_in_c(slicer_app):
    import ctk
    import qt
    import slicer

    for widget in (qt.QLabel(), ctk.ctkSliderWidget(), slicer.qMRMLNodeComboBox(), slicer.app):
        with pytest.raises(AttributeError):
            widget.tooltip = "typing error"
    table = qt.QTableWidget(1, 1)
    header = table.horizontalHeader()  # made by Qt, not by Python
    with pytest.raises(AttributeError):
        header.stretchLast = True

    class Own(qt.QWidget):
        pass

    own = Own()
    own.note = 1
    assert own.note == 1


def test_a_wrong_signature_raises(slicer_app):
    import qt

    button = qt.QPushButton()
    for signature in ("click()", "clicked", "clicked(int)", "toggled()"):
        with pytest.raises(LookupError):
            button.connect(signature, print)
    with pytest.raises(TypeError):
        button.connect("clicked()", None)


def test_slots_get_as_many_values_as_they_take(slicer_app):
    import qt

    button, got = qt.QPushButton(), []
    button.connect("clicked()", lambda: got.append("none"))
    button.connect("clicked(bool)", lambda checked: got.append(checked))
    button.connect("clicked(bool)", lambda name="default": got.append(name))
    button.connect("clicked()", lambda name="default": got.append(name))
    button.click()
    assert got == ["none", False, False, "default"]


def test_disconnect(slicer_app):
    import qt

    button, got = qt.QPushButton(), []
    button.connect("clicked()", got.clear)
    button.disconnect("clicked()", got.clear)
    got.append(1)
    button.click()
    assert got == [1]
    with pytest.raises(LookupError):
        button.disconnect("clicked()", got.clear)


def test_errors_in_slots_reach_the_test(slicer_app):
    import qt

    button = qt.QPushButton("x", slicer_app.window)
    button.show()
    button.connect("clicked()", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        slicer_app.click(button)


def test_warnings_of_qt_reach_the_test(slicer_app):
    import qt

    widget = qt.QWidget()
    qt.QVBoxLayout(widget)
    qt.QVBoxLayout(widget)
    with pytest.raises(RuntimeError, match="already has a layout"):
        slicer_app.settle()


def test_a_user_cannot_click_what_is_hidden_or_disabled(slicer_app):
    import qt

    button = qt.QPushButton("x", slicer_app.window)
    with pytest.raises(AssertionError, match="not visible"):
        slicer_app.click(button)
    button.show()
    button.enabled = False
    with pytest.raises(AssertionError, match="disabled"):
        slicer_app.click(button)


def test_dialogs_do_not_block(slicer_app):
    import qt
    import slicer

    with pytest.raises(AssertionError, match="waits for an answer"):
        slicer.util.errorDisplay("bad")
    assert "bad" in slicer_app.dialogs()[-1]
    slicer_app.answer("/tmp")
    assert qt.QFileDialog.getExistingDirectory(None, "Folder") == "/tmp"


def test_shortcuts_work_by_real_keys(slicer_app):
    import qt
    import slicer

    got = []
    shortcut = qt.QShortcut(slicer.util.mainWindow())
    shortcut.setKey(qt.QKeySequence("7"))
    shortcut.connect("activated()", lambda: got.append(7))
    slicer_app.press("7")
    shortcut.enabled = False
    slicer_app.press("7")
    assert got == [7]


def test_collapsible_button_shows_and_hides(slicer_app):
    import ctk
    import qt

    section = ctk.ctkCollapsibleButton(slicer_app.window)
    section.text = "Section"
    label = qt.QLabel("inside")
    hidden = qt.QLabel("hidden by the module")
    layout = qt.QVBoxLayout(section)
    layout.addWidget(label)
    layout.addWidget(hidden)
    hidden.hide()
    section.resize(200, 100)
    section.show()
    slicer_app.click(section)
    assert section.collapsed
    assert not label.isVisible()
    section.collapsed = False
    assert label.isVisible()
    assert not hidden.isVisible()


def test_path_field_is_silent_about_what_does_not_fit(slicer_app):
    import ctk

    field, paths, valid = ctk.ctkPathLineEdit(slicer_app.window), [], []
    field.connect("currentPathChanged(QString)", paths.append)
    field.connect("validInputChanged(bool)", valid.append)
    field.nameFilters = ["Models (*.npz)"]
    for path in ("/a.npz", "/a.txt", "/b.npz", ""):
        field.currentPath = path
    assert paths == ["/a.npz", "/b.npz"]
    assert valid == [True, False, True, False]


def test_node_selector_follows_the_scene(slicer_app):
    import slicer

    selector, got = slicer.qMRMLNodeComboBox(slicer_app.window), []
    selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    selector.noneEnabled = True
    selector.setMRMLScene(slicer.mrmlScene)
    selector.connect("currentNodeChanged(vtkMRMLNode*)", got.append)
    first = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "first")
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode", "other")
    assert selector.nodes() == [first]
    assert selector.currentNode() is None
    selector.show()
    slicer_app.choose(selector, first)
    first.SetName("renamed")
    assert selector.comboBox().currentText == "renamed"
    slicer.mrmlScene.RemoveNode(first)
    assert selector.currentNode() is None
    assert got == [first, None]


class Mode(enum.Enum):
    NEAR = "near"
    FAR = "far"


@pytest.fixture
def settings(slicer_app):
    import slicer
    from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

    class Settings:
        volume: slicer.vtkMRMLScalarVolumeNode
        text: str
        on: bool = True
        mode: Mode = Mode.NEAR
        offset: Annotated[float, WithinRange(-50, 50)] = 1.0
        names: list[str]

    Settings.__annotations__ = {
        "volume": slicer.vtkMRMLScalarVolumeNode,
        "text": str,
        "on": bool,
        "mode": Mode,
        "offset": Annotated[float, WithinRange(-50, 50)],
        "names": list[str],
    }
    wrapped = parameterNodeWrapper(Settings)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode", "settings")
    return wrapped(node)


def test_parameters_are_checked(settings):
    assert (settings.on, settings.mode, settings.offset, settings.volume, settings.names) == (
        True,
        Mode.NEAR,
        1.0,
        None,
        [],
    )
    with pytest.raises(ValueError, match="within range"):
        settings.offset = 51.0
    with pytest.raises(ValueError):
        settings.text = None
    with pytest.raises(ValueError):
        settings.on = "yes"


def test_parameters_come_back_with_the_scene(slicer_app, settings, tmp_path):
    import numpy as np
    import slicer

    volume = slicer.util.addVolumeFromArray(np.zeros((3, 3, 3), np.int16), name="CT")
    settings.volume, settings.mode, settings.names, settings.text = volume, Mode.FAR, ["a"], "é"
    slicer_app.saveScene(tmp_path / "scene.mrb")
    slicer_app.loadScene(tmp_path / "scene.mrb")
    node = slicer.util.getNode("settings")
    again = type(settings)(node)
    assert again.volume.GetName() == "CT"
    assert (again.mode, again.names, again.text, again.on) == (Mode.FAR, ["a"], "é", True)


def test_parameters_and_widgets_follow_each_other(slicer_app, settings):
    import ctk
    import qt

    panel = qt.QWidget(slicer_app.window)
    layout = qt.QVBoxLayout(panel)
    widgets = {"on": qt.QCheckBox(), "mode": qt.QComboBox(), "offset": ctk.ctkSliderWidget(), "text": qt.QLineEdit()}
    for name, widget in widgets.items():
        widget.setProperty("SlicerParameterName", name)
        layout.addWidget(widget)
    panel.show()
    tag = settings.connectGui(panel)
    assert (widgets["on"].checked, widgets["offset"].minimum, widgets["mode"].count) == (True, -50, 2)
    slicer_app.click(widgets["on"])
    slicer_app.choose(widgets["mode"], "FAR")
    slicer_app.type("abc", widgets["text"])
    assert (settings.on, settings.mode, settings.text) == (False, Mode.FAR, "abc")
    settings.offset = 7.5
    assert widgets["offset"].value == 7.5
    settings.disconnectGui(tag)
    settings.offset = 3.0
    assert widgets["offset"].value == 7.5


def test_a_node_selector_offers_the_declared_class(settings):
    import slicer

    selector = slicer.qMRMLNodeComboBox()
    selector.nodeTypes = ["vtkMRMLTextNode"]
    settings.connectParametersToGui({"volume": selector})
    assert list(selector.nodeTypes) == ["vtkMRMLScalarVolumeNode"]


def test_widgets_are_taken_by_their_exact_class(slicer_app, settings):
    import qt

    class Special(qt.QCheckBox):
        pass

    with pytest.raises(RuntimeError, match="Unable to create"):
        settings.connectParametersToGui({"on": Special()})
    with pytest.raises(RuntimeError, match="Unable to create"):
        settings.connectParametersToGui({"text": qt.QLabel()})


def test_views_of_a_custom_layout(slicer_app):
    import slicer

    manager = slicer.app.layoutManager()
    assert manager.sliceViewNames() == ["Red", "Green", "Yellow"]
    view = '<item><view class="vtkMRMLSliceNode" singletontag="{0}"><property name="orientation" action="default">Axial'
    view += '</property><property name="viewgroup" action="default">{1}</property></view></item>'
    text = f'<layout type="horizontal">{view.format("A", 1)}{view.format("B", 2)}</layout>'
    node = manager.layoutLogic().GetLayoutNode()
    node.AddLayoutDescription(5701, text)
    manager.setLayout(5701)
    assert manager.sliceViewNames() == ["A", "B"]
    first, second = (manager.sliceWidget(name).mrmlSliceNode() for name in "AB")
    assert (first.GetViewGroup(), second.GetViewGroup()) == (1, 2)
    with pytest.raises(ValueError):
        manager.setLayout(5702)
    slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, 0, 0, 12, 1, 2)
    assert manager.sliceWidget("B").sliceLogic().GetSliceOffset() == pytest.approx(12)
    assert manager.sliceWidget("A").sliceLogic().GetSliceOffset() == pytest.approx(0)


def test_a_view_goes_with_its_node(slicer_app):
    import slicer

    manager = slicer.app.layoutManager()
    red = manager.sliceWidget("Red").mrmlSliceNode()
    slicer.mrmlScene.RemoveNode(red)
    assert manager.sliceWidget("Red") is None


def test_the_scene_comes_by_connections_of_the_form(slicer_app, tmp_path):
    import slicer

    form = """<ui version="4.0"><class>Form</class><widget class="qMRMLWidget" name="Form"><layout class="QVBoxLayout">
    <item><widget class="qMRMLNodeComboBox" name="first"/></item>
    <item><widget class="qMRMLNodeComboBox" name="second"/></item></layout></widget>
    <connections><connection><sender>Form</sender><signal>mrmlSceneChanged(vtkMRMLScene*)</signal>
    <receiver>first</receiver><slot>setMRMLScene(vtkMRMLScene*)</slot></connection></connections></ui>"""
    path = tmp_path / "Form.ui"
    path.write_text(form, encoding="utf-8")
    widget = slicer.util.loadUI(str(path))
    ui = slicer.util.childWidgetVariables(widget)
    widget.setMRMLScene(slicer.mrmlScene)
    assert ui.first.mrmlScene() is slicer.mrmlScene
    assert ui.second.mrmlScene() is None
    path.write_text(
        form.replace('name="first"/>', 'name="first"><property name="nodeType"/></widget>'), encoding="utf-8"
    )
    with pytest.raises(LookupError, match="nodeType"):
        slicer.util.loadUI(str(path))


def test_reload_makes_a_new_panel_without_entering_it(slicer_app, monkeypatch):
    module = slicer_app.load("CTSliceLocalizer")
    again = slicer_app.reload("CTSliceLocalizer")
    assert again.widget is not module.widget
    assert again.parent.isEntered
    assert all(section._entered for section in again.widget.sections if hasattr(section, "_entered"))


def pixels(view):
    """The picture of a slice view as (row, column, colour)."""
    import numpy as np

    image = view.image()
    return (
        np.frombuffer(image.constBits(), np.uint8)
        .reshape(image.height(), image.bytesPerLine())[:, : 3 * image.width()]
        .reshape(image.height(), image.width(), 3)
    )


def test_slice_views_are_drawn_by_slicers_own_code(slicer_app):
    import numpy as np
    import slicer

    array = np.zeros((20, 40, 40), np.int16)
    array[10:] = 1000
    volume = slicer.util.addVolumeFromArray(array, name="half")
    volume.CreateDefaultDisplayNodes()
    volume.GetDisplayNode().AutoWindowLevelOff()
    volume.GetDisplayNode().SetWindowLevelMinMax(0, 1000)
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    red = slicer.app.layoutManager().sliceWidget("Red")
    red.sliceLogic().SetSliceOffset(4)
    assert pixels(red).max() == 0
    red.sliceLogic().SetSliceOffset(15)
    white = (pixels(red) == 255).all(axis=2)
    assert white.mean() > 0.3
    points = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    points.CreateDefaultDisplayNodes()
    points.GetDisplayNode().SetSelectedColor(0, 0, 1)
    points.AddControlPoint([20, 20, 15])
    assert (pixels(red) == (0, 0, 255)).all(axis=2).sum() > 20


def test_dicom_series_load_under_their_acquisition_transform(slicer_app, tmp_path):
    import slicer
    import support_dicom
    from DICOMLib import DICOMUtils

    heights = (0.0, 2.0, 4.0, 9.0, 11.0, 13.0)

    def belong(slice_, _number):
        slice_.PatientID, slice_.StudyInstanceUID = "P1", "1.2.3"

    support_dicom.series(tmp_path, positions=[(-8.0, -6.0, z) for z in heights], edit=belong)
    with DICOMUtils.TemporaryDICOMDatabase() as database:
        DICOMUtils.importDicom(str(tmp_path))
        (uid,) = DICOMUtils.allSeriesUIDsInDatabase()
        assert database.fileValue(database.filesForSeries(uid)[0], "0008,0060") == "CT"
        (identifier,) = DICOMUtils.loadSeriesByUID([uid])
        node = slicer.mrmlScene.GetNodeByID(identifier)
        instances = node.GetAttribute("DICOM.instanceUIDs").split()
        assert [float(database.instanceValue(one, "0020,0032").split("\\")[2]) for one in instances] == list(heights)
    assert node.GetParentTransformNode().IsA("vtkMRMLGridTransformNode")
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    assert tree.GetItemUID(tree.GetItemByDataNode(node), "DICOM") == uid


def test_packages_are_asked_for_and_never_installed(slicer_app):
    import slicer.packaging
    import slicer.util

    slicer.packaging.pip_ensure(["anything"], requester="test")
    slicer.util.pip_install("more")
    assert [call[:2] for call in slicer_app.pip] == [("pip_ensure", ["anything"]), ("pip_install", "more")]


def test_settings_are_isolated(slicer_app):
    import qt
    import slicer

    assert slicer.util.settingsValue("Mine/Flag", False, converter=slicer.util.toBool) is False
    qt.QSettings().setValue("Mine/Flag", True)
    assert slicer.util.settingsValue("Mine/Flag", False, converter=slicer.util.toBool) is True
    assert slicer_app.temporary in qt.QSettings().fileName()


def test_the_extension_loads_without_a_main_window():
    """As Slicer's own generic test of each module does: no window, no layout manager."""
    pytest.importorskip("slicer", reason="slicer-core is not installed: tests of the panels are left out")
    pytest.importorskip("PySide6", reason="PySide6 is not installed: tests of the panels are left out")
    from slicerstandin.session import Session

    app = Session().start(window=False)
    try:
        import slicer

        assert slicer.util.mainWindow() is None
        assert slicer.app.layoutManager() is None
        module = app.load("CTSliceLocalizer")
        assert module.parent.isEntered
        assert module.logic.getParameterNode().inputVolume is None
        app.closeScene()
        app.leave()
    finally:
        app.end()


def test_a_three_dimensional_view_shows_what_is_rendered_and_else_nothing(slicer_app):
    import numpy as np
    import slicer
    import slicer.util

    view = slicer.app.layoutManager().threeDWidget(0).threeDView()
    assert view.image() is None
    ball = np.sum((np.mgrid[:20, :20, :20] - 9.5) ** 2, axis=0) < 60
    volume = slicer.util.addVolumeFromArray(ball.astype(np.int16) * 1000)
    display = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLCPURayCastVolumeRenderingDisplayNode")
    properties = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVolumePropertyNode")
    display.SetAndObserveVolumePropertyNodeID(properties.GetID())
    properties.GetVolumeProperty().GetScalarOpacity().AddPoint(0, 0)
    properties.GetVolumeProperty().GetScalarOpacity().AddPoint(1000, 1)
    volume.AddAndObserveDisplayNodeID(display.GetID())
    view.rotateToViewAxis(1)
    image = view.image()
    assert image.pixelColor(image.width() // 2, image.height() // 2) != image.pixelColor(5, image.height() // 2)
    with pytest.raises(ValueError, match="no axis 6"):
        view.rotateToViewAxis(6)
