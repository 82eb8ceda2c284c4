"""Landmarks that somebody labelled: the article's ``labels.json``, Slicer's ``.mrk.json``, and what can't be true.

``labels.json`` lies beside the files of a series (or in a folder for labels) and names the file that shows each
landmark, ``{"C1": "69.dcm", ...}``. Slicer's markups hold points. Both are read and written without losing anything:
keys that this program does not know, their order, and the indentation stay.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from CTVolumeLib.errors import CTError
from CTVolumeLib.files import write_atomic

from .landmarks import BODY_MM, NAMES

MARKUPS_SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/"
    "Resources/Schema/markups-schema-v1.0.3.json#"
)
"""Name of the format of ``.mrk.json``; nothing is fetched from it."""

SMALLEST, LARGEST, SLACK_MM = 0.3, 1.7, 15.0
"""A distance between landmarks is plausible from 0.3 times an average adult's (a newborn) to 1.7 times, 15 mm more or
less, since it can't be read better than the slices lie apart."""

BREATH_MM = 45.0
"""How far breathing moves the dome of the diaphragm from its mean place."""

_DOME = "Right dome of diaphragm"


@dataclass(frozen=True)
class Labels:
    """What a ``labels.json`` says.

    Attributes:
        entries: every key and value in the file's order, landmarks and others.
        lines: line of each key in the file that it was read from.
        repeated: keys that the file holds more than once; the last one counts.
        indent: spaces of the file's indentation; None for a file in one line, as the article writes it.
        newline: whether the file ends with a line break.
    """

    entries: Mapping[str, Any] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)
    repeated: tuple[str, ...] = ()
    indent: int | None = None
    newline: bool = False

    @property
    def landmarks(self) -> dict[str, str]:
        """Name of the file that shows each landmark, of the landmarks that the program knows, head to feet."""
        return {name: self.entries[name] for name in NAMES if isinstance(self.entries.get(name), str)}

    def with_label(self, name: str, file: str) -> Labels:
        """The same with a landmark set, or moved to another file."""
        return replace(self, entries={**self.entries, name: file})

    def without(self, name: str) -> Labels:
        """The same without one landmark."""
        return replace(self, entries={key: value for key, value in self.entries.items() if key != name})


def read_labels(path: Path | str) -> Labels:
    """Read a ``labels.json``.

    Raises:
        CTError: it can't be read or is no JSON object; the message tells the line.
    """
    path = Path(path)
    text = _read(path)
    try:
        pairs = _pairs(text)
    except json.JSONDecodeError as error:
        raise CTError(
            "bad_labels",
            f"{path.name}, line {error.lineno}: this is no labels.json ({error.msg}).",
            'It has to look like {"C1": "69.dcm", "T1": "90.dcm"}.',
        ) from None
    keys = [key for key, _, _ in pairs]
    indentation = re.match(r"\{\r?\n( *)\"", text)
    return Labels(
        entries={key: value for key, value, _ in pairs},
        lines={key: text.count("\n", 0, place) + 1 for key, _, place in pairs},
        repeated=tuple(dict.fromkeys(key for key in keys if keys.count(key) > 1)),
        indent=len(indentation[1]) if indentation else None,
        newline=text.endswith("\n"),
    )


def write_labels(path: Path | str, labels: Labels | Mapping[str, Any]) -> None:
    """Write a ``labels.json``, whole or not at all: the bytes that ``json.dump`` makes of the plain dictionary.

    Args:
        path: the file.
        labels: as read, then also the indentation of the file is kept; or file names by landmark.

    Raises:
        CTError: it can't be written; what was there before is unchanged.
    """
    if not isinstance(labels, Labels):
        labels = Labels(dict(labels))
    text = json.dumps(dict(labels.entries), indent=labels.indent)
    write_atomic(path, f"{text}\n" if labels.newline else text)


@dataclass(frozen=True)
class Point:
    """A control point of Slicer's markups: its label, LPS place in mm, and description."""

    label: str
    position: tuple[float, float, float]
    description: str = ""


@dataclass(frozen=True)
class Markups:
    """The points of a ``.mrk.json``, and the whole document, so that nothing is lost when it is written again."""

    points: tuple[Point, ...]
    document: Mapping[str, Any] = field(repr=False)

    @property
    def landmarks(self) -> dict[str, Point]:
        """The points of landmarks that the program knows, head to feet; of several the last."""
        found = {point.label: point for point in self.points}
        return {name: found[name] for name in NAMES if name in found}


def read_markups(path: Path | str) -> Markups:
    """Read the points of a ``.mrk.json``; those that were never placed are left out.

    Raises:
        CTError: it can't be read or holds no markups.
    """
    path = Path(path)
    try:
        document = json.loads(_read(path))
        lists = [markup for markup in document["markups"] if "controlPoints" in markup]
        points = [
            Point(str(point.get("label", "")), _swapped(point["position"], markup), str(point.get("description", "")))
            for markup in lists
            for point in markup["controlPoints"]
            if _is_placed(point)
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CTError(
            "bad_markups", f"{path.name} is no markups file of 3D Slicer (.mrk.json).", "Save it from Slicer again."
        ) from None
    return Markups(tuple(points), document)


def write_markups(path: Path | str, points: Iterable[Point], like: Markups | None = None) -> None:
    """Write points as a ``.mrk.json`` that Slicer loads, whole or not at all.

    Args:
        path: the file.
        points: in the order wanted.
        like: as read from the file before: what it holds beside the points is kept, as is its coordinate system.

    Raises:
        CTError: it can't be written; what was there before is unchanged.
    """
    write_atomic(path, markups_json(points, like))


def markups_json(points: Iterable[Point], like: Markups | None = None) -> str:
    """The text of a ``.mrk.json``; see ``write_markups``."""
    document = deepcopy(dict(like.document)) if like is not None else {"@schema": MARKUPS_SCHEMA, "markups": []}
    markup = next((one for one in document["markups"] if "controlPoints" in one), None)
    if markup is None:
        markup = {
            "type": "Fiducial",
            "coordinateSystem": "LPS",
            "coordinateUnits": "mm",
            "locked": False,
            "labelFormat": "%N-%d",
        }
        document["markups"].append(markup)
    others = [one for one in document["markups"] if one is not markup and "controlPoints" in one]
    before: dict[str, list[dict]] = {}
    for one in (markup, *others):
        for control in one.get("controlPoints", ()):
            before.setdefault(str(control.get("label", "")), []).append(control)
        one["controlPoints"] = []
    taken = {str(control.get("id")) for several in before.values() for control in several}
    for point in points:
        old = before.get(point.label)
        control = old.pop(0) if old else _control(_free_id(taken))
        control |= {"label": point.label, "position": list(_swapped(point.position, markup))}
        if point.description or "description" in control:
            control["description"] = point.description
        control["positionStatus"] = "defined"
        markup["controlPoints"].append(control)
    return json.dumps(document, indent=1)


@dataclass(frozen=True)
class Contradiction:
    """Two labels that can't both be right, and a sentence that says why."""

    landmarks: tuple[str, str]
    text: str


def contradictions(z_by_landmark: Mapping[str, float]) -> list[Contradiction]:
    """What in a set of labels contradicts anatomy: the order from head to feet, and distances that no body has.

    Args:
        z_by_landmark: LPS z in mm (superior positive) by name; names that the program does not know are ignored.
    """
    names = [name for name in NAMES if name in z_by_landmark]
    steps = [(upper, lower, z_by_landmark[upper] - z_by_landmark[lower]) for upper, lower in pairwise(names)]
    if len(steps) > 1 and all(drop < 0 for _, _, drop in steps):
        text = f"All labels are upside down: {names[-1]} lies above {names[0]}."
        return [Contradiction((names[0], names[-1]), text)]
    found = []
    for upper, lower, drop in steps:
        usual = float(BODY_MM[NAMES.index(lower)] - BODY_MM[NAMES.index(upper)])
        slack = SLACK_MM + (BREATH_MM if _DOME in (upper, lower) else 0.0)
        if not math.isfinite(drop):
            text = f"the place of {upper} or {lower} is unknown."
        elif drop < 0:
            text = f"{lower} lies {-drop:.0f} mm above {upper}; it has to be below."
        elif drop == 0:
            text = f"{upper} and {lower} are on the same slice."
        elif not SMALLEST * usual - slack <= drop <= LARGEST * usual + slack:
            text = f"{upper} and {lower} are {drop:.0f} mm apart; about {usual:.0f} mm are usual."
        else:
            continue
        found.append(Contradiction((upper, lower), text[0].upper() + text[1:]))
    return found


def order_problems(z_by_landmark: Mapping[str, float]) -> list[str]:
    """The sentences of ``contradictions``."""
    return [problem.text for problem in contradictions(z_by_landmark)]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise CTError("cannot_read", f"{path.name} can't be read: {reason}.", "Check the file.") from error


def _pairs(text: str) -> list[tuple[str, Any, int]]:
    """Key, value and place of the key of a JSON object; json.loads tells no places and hides repeated keys."""
    if not isinstance(json.loads(text), dict):
        raise json.JSONDecodeError("not an object", text, 0)
    decoder, found = json.JSONDecoder(), []
    place = _next(text, _next(text, 0) + 1)
    while text[place] != "}":
        key, end = decoder.raw_decode(text, place)
        value, after = decoder.raw_decode(text, _next(text, _next(text, end) + 1))
        found.append((key, value, place))
        place = _next(text, after)
        if text[place] == ",":
            place = _next(text, place + 1)
    return found


def _next(text: str, place: int) -> int:
    """Place of the next character that is no white space."""
    while text[place] in " \t\r\n":
        place += 1
    return place


def _is_placed(point: Mapping[str, Any]) -> bool:
    return bool(point.get("position")) and point.get("positionStatus", "defined") == "defined"


def _swapped(position: Iterable[float], markup: Mapping[str, Any]) -> tuple[float, float, float]:
    """LPS from or to the coordinate system of the markup: RAS differs by two signs."""
    x, y, z = (float(value) for value in position)
    if not all(map(math.isfinite, (x, y, z))):
        raise ValueError(position)
    return (-x, -y, z) if str(markup.get("coordinateSystem", "LPS")).upper() in ("RAS", "0") else (x, y, z)


def _control(identity: str) -> dict[str, Any]:
    return {
        "id": identity,
        "label": "",
        "description": "",
        "position": [],
        "selected": True,
        "locked": False,
        "visibility": True,
        "positionStatus": "defined",
    }


def _free_id(taken: set[str]) -> str:
    number = 1
    while str(number) in taken:
        number += 1
    taken.add(str(number))
    return str(number)
