"""The match of two volumes in the scene: a table that people see, and a hidden text that the program reads it from.

The hidden node refers to both volumes, is written into the scene file itself, and holds the user's correction. It says
for which locations the match was made: where a volume was located anew, moved or changed since, ``matchOf`` says
nothing rather than something wrong.
"""

from __future__ import annotations

import json
import zlib

import slicer
import slicer.util

from . import location_nodes

NOT_MATCHED = "These two volumes are not matched yet: press Link scrolling."

_MARK = "CTSliceLocalizer.Match"
_OFFSET = "CTSliceLocalizer.OffsetMm"
_LOCATED = "CTSliceLocalizer.Located"
_REFINED = "CTSliceLocalizer.Refined"
_ALIGNMENT = "CTSliceLocalizer.Alignment"
_SCHEMA = "ct-slicer-match/1"
_LINE = ("baseline_z_mm", "followup_z_mm", "sigma_mm", "registered", "slices_z_mm", "baseline_index", "slices_index")


def storeMatch(baseline, followUp, match, refined: bool, located=()):
    """Put a match into the scene, in the place of an earlier one of the same two volumes, whose correction stays.

    Args:
        baseline: a located volume.
        followUp: another one.
        match: a ``CTSliceLocalizerLib.matching.Match``.
        refined: whether the images were compared.
        located: those of the two whose locations were made for the match and go away with it.

    Returns:
        The hidden node.
    """
    from CTVolumeLib import scene

    offset = offsetOf(baseline, followUp)
    before = dataNode(baseline, followUp)
    kept = set((before.GetAttribute(_LOCATED) or "").split()) if before is not None else set()
    _removeNodes(before)
    mrml = baseline.GetScene()
    with scene.temporary_nodes(mrml) as keep:
        name = f"{baseline.GetName()} to {followUp.GetName()}"
        data = mrml.AddNewNodeByClass("vtkMRMLTextNode", f"{name}: match data")
        data.SetHideFromEditors(True)
        data.SetForceCreateStorageNode(slicer.vtkMRMLTextNode.CreateStorageNodeNever)
        data.SetAttribute(_MARK, "1")
        data.SetNodeReferenceID("baseline", baseline.GetID())
        data.SetNodeReferenceID("followUp", followUp.GetID())
        data.SetText(json.dumps(_content(baseline, followUp, match), separators=(",", ":")))
        data.SetAttribute(_OFFSET, repr(offset))
        data.SetAttribute(_REFINED, str(int(refined)))
        kept |= {role for role, volume in (("baseline", baseline), ("followUp", followUp)) if volume in located}
        data.SetAttribute(_LOCATED, " ".join(sorted(kept)))
        table = _table(match, f"{name}: matched slices", mrml)
        data.SetNodeReferenceID("table", table.GetID())
        keep(data)
        keep(table)
        scene.show_in_subject_hierarchy(table, baseline)
    return data


def matchOf(baseline, followUp):
    """The match that is kept for two volumes; None where there is none that still holds.

    Returns:
        ``CTSliceLocalizerLib.matching.Match`` without the user's correction, see ``offsetOf``.
    """
    data = dataNode(baseline, followUp)
    if data is None:
        return None
    try:
        content = json.loads(data.GetText())
        if content["schema"] != _SCHEMA or content["locations"] != _locations(baseline, followUp):
            return None
        return _fromContent(content)
    except (ValueError, KeyError, TypeError):  # written by another version, or changed by someone
        return None


def dataNode(baseline, followUp):
    """The hidden node of the match of two volumes, or None."""
    if baseline is None or followUp is None:
        return None
    for node in _dataNodes(baseline.GetScene()):
        if node.GetNodeReference("baseline") is baseline and node.GetNodeReference("followUp") is followUp:
            return node
    return None


def tableNode(baseline, followUp):
    """The table of the matched slices, or None."""
    data = dataNode(baseline, followUp)
    return data.GetNodeReference("table") if data is not None else None


def isRefined(baseline, followUp) -> bool:
    """Whether the images were compared for the match."""
    data = dataNode(baseline, followUp)
    return data is not None and data.GetAttribute(_REFINED) == "1"


def offsetOf(baseline, followUp) -> float:
    """The user's correction in mm: added to every height of the follow-up."""
    data = dataNode(baseline, followUp)
    return float(data.GetAttribute(_OFFSET) or 0.0) if data is not None else 0.0


def setOffset(baseline, followUp, offsetMm: float) -> None:
    """Keep the user's correction.

    Raises:
        CTError: the volumes are not matched.
    """
    from CTVolumeLib.errors import CTError

    data = dataNode(baseline, followUp)
    if data is None:
        raise CTError("not_matched", NOT_MATCHED)
    data.SetAttribute(_OFFSET, repr(float(offsetMm)))
    data.RemoveAttribute(_ALIGNMENT)  # its height was found with the other correction


def alignmentOf(baseline, followUp):
    """The ``CTSliceLocalizerLib.alignment.Alignment`` that is kept with the match, or None."""
    import numpy as np
    from CTSliceLocalizerLib.alignment import Alignment

    data = dataNode(baseline, followUp)
    text = data.GetAttribute(_ALIGNMENT) if data is not None else None
    if not text:
        return None
    content = json.loads(text)
    correlation = float("nan") if content["correlation"] is None else content["correlation"]
    return Alignment(np.array(content["matrix"]), content["method"], content["sigma_mm"], correlation)


def setAlignment(baseline, followUp, alignment) -> None:
    """Keep an alignment with the match, so that it is not computed for every carried list."""
    import math

    content = {
        "matrix": alignment.matrix.tolist(),
        "method": alignment.method,
        "sigma_mm": alignment.sigma_mm,
        "correlation": None if math.isnan(alignment.correlation) else alignment.correlation,
    }
    dataNode(baseline, followUp).SetAttribute(_ALIGNMENT, json.dumps(content))


def clearMatch(baseline, followUp) -> None:
    """Remove the match of two volumes, and the locations that were made for it."""
    data = dataNode(baseline, followUp)
    if data is None:
        return
    located = (data.GetAttribute(_LOCATED) or "").split()
    _removeNodes(data)
    for role, volume in (("baseline", baseline), ("followUp", followUp)):
        if role in located and not _matchesOf(volume):
            location_nodes.clearLocation(volume)


def clearMatchesOf(volumeNode) -> None:
    """Remove all matches of a volume; its locations stay."""
    for data in _matchesOf(volumeNode):
        _removeNodes(data)


def removeOrphans(mrmlScene) -> None:
    """Remove the matches of volumes that are no longer in the scene."""
    for data in _dataNodes(mrmlScene):
        if data.GetNodeReference("baseline") is None or data.GetNodeReference("followUp") is None:
            _removeNodes(data)


def _dataNodes(mrmlScene) -> list:
    nodes = slicer.util.getNodesByClass("vtkMRMLTextNode", mrmlScene)
    return [node for node in nodes if node.GetAttribute(_MARK)]


def _matchesOf(volumeNode) -> list:
    return [
        data
        for data in _dataNodes(volumeNode.GetScene())
        if volumeNode in (data.GetNodeReference("baseline"), data.GetNodeReference("followUp"))
    ]


def _removeNodes(data) -> None:
    if data is None:
        return
    mrml = data.GetScene()
    for node in (data.GetNodeReference("slices"), data.GetNodeReference("table"), data):
        if node is not None and mrml.IsNodePresent(node):
            mrml.RemoveNode(node)


def _locations(baseline, followUp) -> list[int]:
    """What tells two pairs of locations apart; an error where one is missing or no longer holds."""
    found = []
    for volume in (baseline, followUp):
        if location_nodes.whyNoLocation(volume):
            raise ValueError("not located")
        found.append(zlib.crc32(location_nodes.nodesOf(volume).data.GetText().encode()))
    return found


def _content(baseline, followUp, match) -> dict:
    line = match.line
    return {
        "schema": _SCHEMA,
        "locations": _locations(baseline, followUp),
        "match": match.to_json(),
        "line": None if line is None else {name: getattr(line, name).tolist() for name in _LINE},
    }


def _fromContent(content: dict):
    import numpy as np
    from CTSliceLocalizerLib.matching import Line, Match, Pair
    from CTSliceLocalizerLib.results import Flag

    match, line = content["match"], content["line"]
    return Match(
        pairs=tuple(Pair(**pair) for pair in match["pairs"]),
        flags=tuple(Flag(**flag) for flag in match["flags"]),
        refused=None if match["refused"] is None else Flag(**match["refused"]),
        line=None if line is None else Line(**{name: np.array(line[name]) for name in _LINE}),
    )


def _table(match, name: str, mrmlScene):
    from CTVolumeLib import scene

    pairs = match.pairs
    return scene.table_from_columns(
        name,
        {
            "baseline slice": [pair.baseline_index for pair in pairs],
            "baseline z (mm)": [pair.baseline_z_mm for pair in pairs],
            "follow-up slice": [pair.followup_index for pair in pairs],
            "follow-up z (mm)": [pair.followup_z_mm for pair in pairs],
            "+- (mm)": [pair.sigma_mm for pair in pairs],
            "found by": [
                ("images" if pair.method == "registered" else "body curve") if pair.covered else "not covered"
                for pair in pairs
            ],
        },
        mrmlScene,
    )
