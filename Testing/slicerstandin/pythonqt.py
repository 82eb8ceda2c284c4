"""PythonQt's rules for Qt objects, put on PySide6: properties are values, ``connect`` takes a signature.

The rules are set on PySide6's own classes, so that objects which Qt makes (a table's header) obey them as well. Where
PythonQt only prints or does nothing, an error is raised: a typing error must not become a dead button.
"""

from __future__ import annotations

import ctypes
import inspect
import sys
import types
from collections import deque
from collections.abc import Callable

import shiboken6
from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

__all__ = ["ANSWERS", "DIALOGS", "forget_connections", "make_qt_module", "properties", "set_rules"]

ANSWERS: deque = deque()
"""What the next modal dialogs answer, in order; a dialog without an answer is an error, since it would block."""

DIALOGS: list[str] = []
"""The dialogs that were opened, as words."""

loading: list[str] = []
"""Not empty while a .ui file is loaded: PySide6 then sets each child as an attribute, PythonQt does not."""

_VIRTUAL = ("sizeHint", "minimumSizeHint")
"""Properties that are virtual methods as well: Qt finds an override by reading the attribute."""

_MODULES = (QtCore, QtGui, QtWidgets)
_read = QtCore.QObject.__getattribute__
_meta_object = QtCore.QObject.metaObject
_get_property = QtCore.QObject.property
_set_property = QtCore.QObject.setProperty
_properties: dict[type, dict[str, bool]] = {}
_reading: set[tuple[int, str]] = set()
_connections: dict[int, list[tuple[str, Callable, Callable]]] = {}


def set_rules() -> None:
    """Make all Qt objects of this process behave as in PythonQt; may be called again."""
    if QtCore.QObject.__getattribute__ is _get:
        return
    for cls in _classes():
        cls.__setattr__ = _set
    QtCore.QObject.__getattribute__ = _get
    _make_immortal()
    for cls, names in (
        (QtWidgets.QFileDialog, ("getExistingDirectory", "getOpenFileName", "getOpenFileNames", "getSaveFileName")),
        (QtWidgets.QMessageBox, ("question", "information", "warning", "critical", "about")),
        (QtWidgets.QInputDialog, ("getText", "getInt", "getDouble", "getItem")),
    ):
        for name in names:
            setattr(cls, name, staticmethod(_answer_of(f"{cls.__name__}.{name}")))
    QtGui.QDesktopServices.openUrl = staticmethod(_open_address)


def make_qt_module() -> types.ModuleType:
    """The module ``qt``: all names of QtCore, QtGui, QtWidgets and the loader of .ui files."""
    qt = types.ModuleType("qt", "Stand-in for PythonQt's qt module.")
    for module in (*_MODULES, QtUiTools):
        for name in dir(module):
            if not name.startswith("__"):
                setattr(qt, name, getattr(module, name))
    return qt


def forget_connections() -> None:
    """Drop what keeps the slots of all objects alive."""
    _connections.clear()


class Method:
    """A method that was read and not called; used as a value it is the bug ``if button.isVisible:``."""

    def __init__(self, method: Callable):
        self.method = method
        self.__name__ = method.__name__

    def __call__(self, *args, **kwargs):
        return self.method(*args, **kwargs)

    def __eq__(self, other):
        if isinstance(other, Method):
            return self.method == other.method
        return self._misused()

    def __hash__(self):
        return hash(self.method)

    def _misused(self, *_args):
        raise TypeError(f"{self.method.__qualname__} is a method, not a property: call it with parentheses")

    __bool__ = __str__ = __format__ = __lt__ = __gt__ = __le__ = __ge__ = __int__ = __float__ = _misused
    __add__ = __radd__ = __sub__ = __rsub__ = __len__ = __iter__ = __index__ = _misused


def _classes():
    for module in _MODULES:
        for name in dir(module):
            cls = getattr(module, name)
            if isinstance(cls, type) and issubclass(cls, QtCore.QObject):
                yield cls


def properties(instance) -> dict[str, bool]:
    """Names of an object's Qt properties, and whether they can be set; looked up once for each class."""
    known = _properties.get(type(instance))
    if known is None:
        meta = _meta_object(instance)
        entries = [meta.property(number) for number in range(meta.propertyCount())]
        known = _properties[type(instance)] = {entry.name(): entry.isWritable() for entry in entries}
    return known


def _get(self, name: str):
    if name[:1] == "_":
        return _read(self, name)
    key = "objectName" if name == "name" else name
    if key in properties(self) and not (key in _VIRTUAL and isinstance(getattr(type(self), key), types.FunctionType)):
        return _read_property(self, key)
    if name in _ADDED:
        return types.MethodType(_ADDED[name], self)
    value = _read(self, name)
    return Method(value) if isinstance(value, types.BuiltinMethodType) else value


def _read_property(self, key: str):
    """A property's value; where its getter is virtual, Qt asks on the way whether Python overrides it."""
    token = (id(self), key)
    if token in _reading:
        return _read(self, key)
    _reading.add(token)
    try:
        return _get_property(self, key)
    finally:
        _reading.discard(token)


def _set(self, name: str, value) -> None:
    key = "objectName" if name == "name" else name
    known = properties(self)
    if key in known:
        if not known[key]:
            raise AttributeError(f"{type(self).__name__}.{name} can only be read")
        if not _set_property(self, key, value):
            raise TypeError(f"{type(self).__name__}.{name} does not take {value!r}")
        return
    if _is_plain(self) and name[:1] != "_":
        if loading:
            return
        raise AttributeError(f"{type(self).__name__} has no property {name!r}: PythonQt allows no new attributes on it")
    descriptor = getattr(type(self), name, None)
    if hasattr(descriptor, "__set__"):
        descriptor.__set__(self, value)
    else:
        self.__dict__[name] = value


def _make_immortal() -> None:
    """PySide6 takes None, True and False for immortal, which they are from Python 3.12 on; before, Python aborts.

    Each call without a result would take a reference to None away.
    """
    if sys.version_info < (3, 12):
        for value in (None, True, False):
            ctypes.c_ssize_t.from_address(id(value)).value += 1 << 40  # the reference count


def _is_plain(instance) -> bool:
    """Whether the class is one that Slicer has in C++."""
    return type(instance).__module__.startswith(("PySide6", "slicerstandin"))


def _connect(self, signal: str, receiver, slot: str | None = None) -> bool:
    if slot is not None:
        receiver = _slot(receiver, slot)
    if not callable(receiver):
        raise TypeError(f"{signal} cannot be connected to {receiver!r}")
    key, parameters = _signal(self, signal)
    count = _accepted(receiver, parameters)

    def relay(*args):
        receiver(*args[: min(count, parameters)])

    QtCore.QObject.connect(self, QtCore.SIGNAL(key), relay)
    address = shiboken6.getCppPointer(self)[0]
    if address not in _connections:
        _connections[address] = []
        if key != "destroyed()":
            QtCore.QObject.connect(
                self, QtCore.SIGNAL("destroyed()"), lambda address=address: _connections.pop(address, None)
            )
    _connections[address].append((key, receiver, relay))
    return True


def _disconnect(self, signal: str, receiver=None, slot: str | None = None) -> bool:
    key, _ = _signal(self, signal)
    if slot is not None:
        receiver = _slot(receiver, slot)
    known = _connections.get(shiboken6.getCppPointer(self)[0], [])
    found = [entry for entry in known if entry[0] == key and (receiver is None or entry[1] == receiver)]
    if not found:
        raise LookupError(f"{signal} of {_meta_object(self).className()} is not connected to {receiver!r}")
    for entry in found:
        QtCore.QObject.disconnect(self, QtCore.SIGNAL(key), entry[2])
        known.remove(entry)
    return True


def _signal(instance, text: str) -> tuple[str, int]:
    """Signature as Qt has it, and how many values it sends.

    Raises:
        LookupError: there is no such signal; PythonQt only prints a line and the slot is never called.
    """
    meta = _meta_object(instance)
    wanted = bytes(meta.normalizedSignature(text)).decode()
    inner = wanted[wanted.index("(") + 1 : -1] if "(" in wanted else None
    if inner is None:
        raise LookupError(f"{text!r} is no signature, such as 'clicked()'")
    count = len(inner.split(",")) if inner else 0
    for cls in type(instance).__mro__:  # signals of Slicer's widgets carry nodes, which PySide6 calls PyObject
        own = cls.__dict__.get("_signatures", {})
        if wanted in own:
            return own[wanted], count
    if meta.indexOfSignal(wanted) < 0:
        names = sorted(
            bytes(meta.method(number).methodSignature()).decode()
            for number in range(meta.methodCount())
            if meta.method(number).methodType() == QtCore.QMetaMethod.MethodType.Signal
        )
        raise LookupError(f"{meta.className()} has no signal {text!r}; it has {', '.join(names)}")
    return wanted, count


def _slot(receiver, text: str) -> Callable:
    name = text.split("(")[0]
    if not hasattr(receiver, name):
        raise LookupError(f"{receiver!r} has no slot {text!r}")
    slot = getattr(receiver, name)
    return slot.method if isinstance(slot, Method) else slot


def _accepted(receiver: Callable, offered: int) -> int:
    """How many values PythonQt hands over: it counts the arguments of functions and methods only."""
    function = receiver.__func__ if inspect.ismethod(receiver) else receiver
    if isinstance(function, (Method, types.BuiltinMethodType)):
        return offered
    if not inspect.isfunction(function) or function.__code__.co_flags & inspect.CO_VARARGS:
        return offered
    return function.__code__.co_argcount - inspect.ismethod(receiver)


def _find_children(self, cls=None, name: str = "") -> list:
    if isinstance(cls, str) or cls is None:
        wanted = cls
        found = QtCore.QObject.findChildren(self, QtCore.QObject)
        found = [child for child in found if wanted is None or child.inherits(wanted)]
    else:
        found = QtCore.QObject.findChildren(self, cls)
    return [child for child in found if not name or child.objectName == name]


def _find_child(self, cls=None, name: str = ""):
    return next(iter(_find_children(self, cls, name)), None)


def _run_modal(self, *_args):
    if isinstance(self, QtWidgets.QDialog | QtWidgets.QMenu):
        words = getattr(self, "text", "") or self.windowTitle
        return _answer_of(f"{_meta_object(self).className()}: {words}")()
    return _read(self, "exec")()


def _open_address(address) -> bool:
    """No browser: the address stands in the list of dialogs."""
    DIALOGS.append(address.toString())
    return True


def _answer_of(what: str) -> Callable:
    def answer(*args, **_kwargs):
        texts = [arg for arg in args if isinstance(arg, str)]
        DIALOGS.append(": ".join([what, *texts]))
        if not ANSWERS:
            raise AssertionError(f"{what} waits for an answer: give one with slicer_app.answer(value)")
        return ANSWERS.popleft()

    return answer


_ADDED = {
    "connect": _connect,
    "disconnect": _disconnect,
    "className": lambda self: _meta_object(self).className(),
    "exec_": _run_modal,
    "exec": _run_modal,
    "findChildren": _find_children,
    "findChild": _find_child,
    "delete": lambda self: shiboken6.delete(self),
    "dynamicPropertyNames": lambda self: [bytes(n).decode() for n in QtCore.QObject.dynamicPropertyNames(self)],
}
