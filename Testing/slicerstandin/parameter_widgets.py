"""How settings of a parameter node and widgets follow each other.

A widget is taken by its exact class, as in Slicer: a subclass is refused there and here.
"""

from __future__ import annotations

import enum
import pathlib
import typing

import ctk
import qt
import slicer


class Link:
    """A widget and the property and signal that stand for its value."""

    def __init__(self, widget, prop, signal, convert=lambda value: value):
        self.widget, self.prop, self.signal, self.convert = widget, prop, signal, convert
        self.relay = None

    def read(self):
        return self.convert(getattr(self.widget, self.prop))

    def write(self, value):
        setattr(self.widget, self.prop, str(value) if isinstance(value, pathlib.PurePath) else value)

    def connect(self, changed):
        self.relay = lambda: changed()
        self.widget.connect(self.signal, self.relay)

    def disconnect(self):
        self.widget.disconnect(self.signal, self.relay)


class ChoiceLink(Link):
    """A combo box whose entries are the choices."""

    def __init__(self, widget, choices, labels):
        super().__init__(widget, "currentIndex", "currentIndexChanged(int)")
        self.choices = list(choices)
        widget.clear()
        for label in labels:
            widget.addItem(label)

    def read(self):
        return self.choices[self.widget.currentIndex]

    def write(self, value):
        self.widget.currentIndex = self.choices.index(value)


class TextLink(Link):
    """A field for many lines; it is written only when it differs, or the cursor would jump."""

    def write(self, value):
        if self.read() != value:
            self.widget.setPlainText(value)


class NodeLink(Link):
    """A combo box of nodes; it offers those of the declared class, whatever the .ui file says."""

    def __init__(self, widget, kind):
        super().__init__(widget, "", "currentNodeChanged(vtkMRMLNode*)")
        kinds = [entry for entry in typing.get_args(kind) if entry is not type(None)] or [kind]
        widget.nodeTypes = [entry.__name__ for entry in kinds]

    def read(self):
        return self.widget.currentNode()

    def write(self, value):
        self.widget.setCurrentNode(value)


def connector(widget, parameter) -> Link:
    """The link between a widget and a setting.

    Raises:
        RuntimeError: no widget of that class can show a value of that type; a slider without limits.
    """
    cls, kind = type(widget), parameter.kind
    is_enum = isinstance(kind, type) and issubclass(kind, enum.Enum)
    if kind is bool and cls in (qt.QCheckBox, ctk.ctkCheckBox):
        return Link(widget, "checked", "toggled(bool)")
    if kind is bool and cls is qt.QPushButton:
        widget.checkable = True
        return Link(widget, "checked", "toggled(bool)")
    if kind is int and cls in (qt.QSlider, qt.QSpinBox):
        return _number(widget, parameter, sliders=(qt.QSlider,), unbounded=2**31 - 1, signal="valueChanged(int)")
    if kind is float and cls in _FLOATS:
        return _number(
            widget,
            parameter,
            sliders=(ctk.ctkSliderWidget, ctk.ctkDoubleSlider, slicer.qMRMLSliderWidget),
            unbounded=float("inf"),
            signal="valueChanged(double)",
        )
    if cls in (qt.QComboBox, ctk.ctkComboBox):
        if is_enum:
            return ChoiceLink(widget, kind, [getattr(entry, "label", lambda e=entry: e.name)() for entry in kind])
        choice = next((entry for entry in parameter.annotations if type(entry).__name__ == "Choice"), None)
        if choice is None:
            raise RuntimeError("ComboBoxToStringableConnector requires the Choice annotation to be used.")
        return ChoiceLink(widget, choice.choices, [str(entry) for entry in choice.choices])
    if kind is str and cls is qt.QLineEdit:
        return Link(widget, "text", "textChanged(QString)")
    if kind is str and cls is qt.QTextEdit:
        return TextLink(widget, "plainText", "textChanged()")
    if isinstance(kind, type) and issubclass(kind, pathlib.PurePath):
        if cls is ctk.ctkPathLineEdit:
            return Link(widget, "currentPath", "currentPathChanged(QString)", kind)
        if cls is ctk.ctkDirectoryButton:
            return Link(widget, "directory", "directoryChanged(QString)", kind)
    if cls is slicer.qMRMLNodeComboBox:
        return NodeLink(widget, kind)
    raise RuntimeError(f"Unable to create GUI connector from datatype '{kind}' to widget type '{cls}'")


_FLOATS = (
    qt.QDoubleSpinBox,
    ctk.ctkSliderWidget,
    ctk.ctkDoubleSlider,
    ctk.ctkDoubleSpinBox,
    slicer.qMRMLSliderWidget,
    slicer.qMRMLSpinBox,
)


def _number(widget, parameter, sliders, unbounded, signal) -> Link:
    limits = {}
    for entry in parameter.annotations:
        name = type(entry).__name__
        if name in ("Decimals", "SingleStep"):
            setattr(widget, {"Decimals": "decimals", "SingleStep": "singleStep"}[name], entry.value)
        if name in ("WithinRange", "Minimum"):
            limits["minimum"] = entry.minimum
        if name in ("WithinRange", "Maximum"):
            limits["maximum"] = entry.maximum
    if type(widget) in sliders and len(limits) < 2:
        raise RuntimeError("Cannot have a connection to ctkSliderWidget where the float types is unbounded.")
    widget.minimum = limits.get("minimum", -unbounded)
    widget.maximum = limits.get("maximum", unbounded)
    return Link(widget, "value", signal, parameter.kind)
