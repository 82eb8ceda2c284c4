"""Loader of .ui files: Slicer's and CTK's widgets by class name, and the connections that hand the scene on."""

from __future__ import annotations

import sys
from xml.etree import ElementTree

import slicer
from PySide6 import QtCore, QtUiTools, QtWidgets

from . import pythonqt

SCENE_SIGNAL = "mrmlSceneChanged(vtkMRMLScene*)"
_FORM_ONLY = ("buddy",)
"""What Qt Designer writes as a property although the class has none."""

SCENE_SLOT = "setMRMLScene(vtkMRMLScene*)"


class QUiLoader(QtUiTools.QUiLoader):
    """As Slicer's; an unknown class or property is an error, where Slicer shows an empty place or nothing."""

    def load(self, file, parent=None):
        """The widget of a .ui file (a QFile that is open)."""
        tree = ElementTree.fromstring(bytes(file.readAll()))
        _check_properties(tree)
        links = _take_scene_connections(tree)
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(tree))
        buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
        pythonqt.loading.append(tree.findtext("class") or "")
        widget = super().load(buffer, parent)
        pythonqt.loading.pop()
        for sender, receiver in links:
            source = widget if widget.objectName == sender else _named(widget, sender)
            target = _named(widget, receiver)
            source.connect(SCENE_SIGNAL, target.setMRMLScene)
        return widget

    def createWidget(self, class_name, parent=None, name=""):
        """Called for each widget."""
        widget = _class(class_name)(parent)
        widget.setObjectName(name)
        return widget


def _class(name: str):
    for owner in (sys.modules["ctk"], slicer, QtWidgets):
        if hasattr(owner, name):
            return getattr(owner, name)
    if name == "Line":
        return QtWidgets.QFrame
    raise LookupError(f"the stand-in has no widget of class {name}")


def _check_properties(tree) -> None:
    for element in tree.iter("widget"):
        cls = _class(element.get("class"))
        if element.get("class") == "Line":
            continue
        known = pythonqt.properties(cls())
        for prop in element.findall("property"):
            name = prop.get("name")
            if name not in _FORM_ONLY and prop.get("stdset") != "0" and name not in known:
                raise LookupError(f"{element.get('name')}: {element.get('class')} has no property {name!r}")


def _take_scene_connections(tree) -> list[tuple[str, str]]:
    links = []
    for group in tree.findall("connections"):
        for link in list(group):
            if link.findtext("signal") == SCENE_SIGNAL and link.findtext("slot") == SCENE_SLOT:
                links.append((link.findtext("sender"), link.findtext("receiver")))
                group.remove(link)
    return links


def _named(widget, name: str):
    found = widget.findChild(None, name)
    if found is None:
        raise LookupError(f"the .ui file connects {name!r}, which it does not have")
    return found
