"""The module ``slicer.parameterNodeWrapper``: settings as typed attributes, kept in a node, shown by widgets.

Scalars are kept as text in the parameters of a vtkMRMLScriptedModuleNode, nodes as node references, lists and
dictionaries as JSON. Widgets are found by their property SlicerParameterName and by their exact class, as in Slicer.
"""

from __future__ import annotations

import enum
import json
import pathlib
import types
import typing
from dataclasses import dataclass
from typing import Any

import slicer
import slicer.util
import vtk

from .parameter_widgets import connector


@dataclass
class Default:
    """Annotation: the value before anything was set."""

    value: Any


@dataclass
class Decimals:
    """Annotation: digits in the widget."""

    value: int


@dataclass
class SingleStep:
    """Annotation: step of the widget."""

    value: float


class Validator:
    """What a value must be; ``validate`` raises ValueError."""


class NotNone(Validator):
    @staticmethod
    def validate(value):
        _demand(value is not None, "Value must not be None")


class IsNone(Validator):
    @staticmethod
    def validate(value):
        _demand(value is None, "Value must be None")


@dataclass
class IsInstance(Validator):
    kind: Any

    def validate(self, value):
        good = value is None or isinstance(value, self.kind)
        _demand(good, f"Value must be of type {self.kind}, is {type(value)}")


@dataclass
class WithinRange(Validator):
    minimum: float
    maximum: float

    def validate(self, value):
        good = self.minimum <= value <= self.maximum
        _demand(good, f"Value must be within range [{self.minimum}, {self.maximum}], is {value}")


@dataclass
class Minimum(Validator):
    minimum: float

    def validate(self, value):
        _demand(value >= self.minimum, f"Value must be at least {self.minimum}, is {value}")


@dataclass
class Maximum(Validator):
    maximum: float

    def validate(self, value):
        _demand(value <= self.maximum, f"Value must be at most {self.maximum}, is {value}")


class Choice(Validator):
    def __init__(self, choices):
        self.choices = list(choices)

    def validate(self, value):
        _demand(value in self.choices, f"Value must be one of {self.choices}, is {value!r}")


class Exclude(Validator):
    def __init__(self, values):
        self.values = list(values)

    def validate(self, value):
        _demand(value not in self.values, f"Value must not be {value!r}")


@dataclass
class Parameter:
    """One setting: how it is kept in the node, and what it may be."""

    name: str
    kind: Any
    """The type without its annotations."""
    annotated: Any
    annotations: tuple
    default: Any

    def isIn(self, node) -> bool:
        return node.HasParameter(self.name)

    def write(self, node, value) -> None:
        for validator in (*_validators_of(self.kind), *self.annotations):
            if isinstance(validator, Validator) or (isinstance(validator, type) and issubclass(validator, Validator)):
                validator.validate(value)
        if _is_node(self.kind):
            node.SetParameter(self.name, "")
            node.SetNodeReferenceID(self.name, value.GetID() if value is not None else None)
        else:
            node.SetParameter(self.name, _text(value))

    def read(self, node):
        if not self.isIn(node):
            self.write(node, self.default)
        if _is_node(self.kind):
            return node.GetNodeReference(self.name)
        return _value(node.GetParameter(self.name), self.kind)


def parameterNodeWrapper(cls=None):
    """Class decorator: each annotated name becomes a setting."""
    return _wrap if cls is None else _wrap(cls)


def isParameterNodeWrapper(thing) -> bool:
    return getattr(thing, "_isWrapper", False)


class _Wrapper:
    """What a decorated class can do."""

    _isWrapper = True

    def __init__(self, parameterNode):
        self.parameterNode = parameterNode
        self._guis: dict[int, dict] = {}
        self._next = 0
        self._showing = False
        for parameter in self.allParameters.values():
            if not parameter.isIn(parameterNode):
                parameter.write(parameterNode, parameter.default)

    def getValue(self, name):
        return self._parameter(name).read(self.parameterNode)

    def setValue(self, name, value):
        with slicer.util.NodeModify(self.parameterNode):
            self._parameter(name).write(self.parameterNode, value)

    def default(self, name):
        return Default(self._parameter(name).default)

    def isCached(self, _name):
        return False

    @classmethod
    def dataType(cls, name):
        return cls.allParameters[name].annotated

    def connectGui(self, gui) -> int:
        widgets = gui.findChildren() if hasattr(gui, "isWidgetType") else gui.__dict__.values()
        named = {}
        for widget in widgets:
            name = widget.property("SlicerParameterName")
            if name:
                named[name] = widget
        return self.connectParametersToGui(named)

    def connectParametersToGui(self, mapping) -> int:
        links = {name: connector(widget, self._parameter(name)) for name, widget in mapping.items()}
        tag, self._next = self._next, self._next + 1
        self._guis[tag] = links
        for name, link in links.items():
            link.write(self.getValue(name))
            link.connect(lambda name=name, link=link: self._fromGui(name, link))
        self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_event: self._toGui())
        return tag

    def disconnectGui(self, tag) -> None:
        for link in self._guis.pop(tag, {}).values():
            link.disconnect()

    def StartModify(self):
        return self.parameterNode.StartModify()

    def EndModify(self, before):
        return self.parameterNode.EndModify(before)

    def AddObserver(self, event, callback, priority=0.0):
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag):
        self.parameterNode.RemoveObserver(tag)

    def Modified(self):
        self.parameterNode.Modified()

    def _parameter(self, name) -> Parameter:
        if name not in self.allParameters:
            raise ValueError(f"Cannot find a param with the given name: {name}; there are {sorted(self.allParameters)}")
        return self.allParameters[name]

    def _fromGui(self, name, link):
        if not self._showing:
            self.setValue(name, link.read())

    def _toGui(self):
        if self._showing:
            return
        self._showing = True
        try:
            for links in list(self._guis.values()):
                for name, link in links.items():
                    link.write(self.getValue(name))
        finally:
            self._showing = False


def _wrap(cls):
    parameters = {}
    for name, hint in typing.get_type_hints(cls, include_extras=True).items():
        annotations = tuple(getattr(hint, "__metadata__", ()))
        kind = hint.__origin__ if annotations else hint
        given = next((entry for entry in annotations if isinstance(entry, Default)), None)
        default = getattr(cls, name) if hasattr(cls, name) else given.value if given else _first_value(kind)
        _text(default) if not _is_node(kind) else None  # a type that cannot be kept is an error of the declaration
        parameters[name] = Parameter(name, kind, hint, annotations, default)
    reserved = [name for name in parameters if hasattr(_Wrapper, name)]
    if reserved:
        raise ValueError(f"Cannot use reserved name {reserved[0]!r} in a parameterNodeWrapper")
    members = {key: value for key, value in vars(cls).items() if key not in ("__dict__", "__weakref__")}
    members |= {name: _property(name) for name in parameters}
    members["allParameters"] = parameters
    members.pop("__init__", None)
    return type(cls.__name__, (_Wrapper,), members)


def _property(name):
    return property(lambda self: self.getValue(name), lambda self, value: self.setValue(name, value))


def _is_node(kind) -> bool:
    kinds = typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else (kind,)
    kinds = [entry for entry in kinds if entry is not type(None)]
    return all(isinstance(entry, type) and issubclass(entry, slicer.vtkMRMLNode) for entry in kinds)


def _validators_of(kind) -> list:
    if _is_node(kind):
        return [] if typing.get_args(kind) else [IsInstance(kind)]
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return []
    if kind is float:
        return [NotNone, IsInstance((int, float))]
    return [NotNone, IsInstance(origin or kind)]


def _first_value(kind):
    if _is_node(kind) or typing.get_origin(kind) in (typing.Union, types.UnionType):
        return None
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return next(iter(kind))
    origin = typing.get_origin(kind) or kind
    return origin()


def _text(value) -> str:
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float | pathlib.PurePath):
        return str(value)
    return json.dumps(value)


def _value(text, kind):
    if kind is bool:
        return text == "True"
    if kind in (int, float, str):
        return kind(text)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return kind[text]
    if isinstance(kind, type) and issubclass(kind, pathlib.PurePath):
        return kind(text)
    value = json.loads(text)
    return tuple(value) if (typing.get_origin(kind) or kind) is tuple else value


def _demand(good, message) -> None:
    if not good:
        raise ValueError(message)
