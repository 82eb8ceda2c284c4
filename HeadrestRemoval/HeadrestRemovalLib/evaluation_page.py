"""Docs/Headrest.md, written from the rows of the evaluation and from what was seen in pictures of real scans."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from CTVolumeLib.files import write_atomic

from .equipment import BEST
from .evaluation_cases import FINE, INSTEAD, LEFT_OUT, is_fresh
from .evaluation_supports import KINDS as SUPPORT_KINDS

if TYPE_CHECKING:
    from .evaluation import Row

SEEN = Path(__file__).with_name("evaluation_seen.json")
"""What a reader saw in the pictures of each real scan."""

_NAMES = {
    "recipe": "Slicer's recipe",
    "recipe at -300 HU": "the recipe at -300 HU",
    "clustering": "clustering",
    "network": "network",
    "both": "clustering, then network",
}
_TOUCHING = ("contact 10 cm2", "contact 30 cm2", "contact 60 cm2")
_FREE = ("not touching", "gap 1 mm", "gap 2 mm", "gap 3 mm")
_LIMITS = (
    "- Where equipment of the density of tissue is pressed against the skin, the cut between the two is a guess, and"
    " the result says so (`touching`). Behind the patient the cut follows the dark voxels that a film of air leaves in"
    " the seam, or the rise from a pad that is fainter than fat, and the free skin around. Where no seam shows, only"
    " small pads and those of another density than skin are told from it; larger ones that are as dense, and equipment"
    " beside or in front of the patient, stay. No real scan with a dense pad pressed to the skin was at hand, and in"
    " composed cases the seam is partly due to how they are composed.",
    "- Thick pads as dense as tissue (gel rings, horseshoes, cushions of water) are found by the network, in scans of"
    " heads alone, from 10 mL and a mean thickness of 8 mm on; thinner ones of one material that lie before a holder"
    " from 1 mL on. Ears that touch a holder, hips, and skin that is pressed flat look alike to it, so that smaller"
    " pieces stay. Next to the skin some of such a pad stays. What is dense and lies on the face, as a pack of ice,"
    " stays for the most part.",
    "- Sheets over the skin of the head, as masks and straps, are found where a gap shows beneath them over some 100"
    " cm2, and followed from there as far as they are fainter than skin. Straps that lie on without a gap are"
    " found where both their edges go half-way round the head, by HU or by the step of the outline, and taken up to"
    " 3 mm deep, or as deep as most of a strap shows to be; of straps of 5 mm up to a tenth stays. One whose upper edge"
    " lies beyond the scan, and one as dense as skin, stay. Below the head sheets and boards are taken off only where"
    " they are thin, evenly fainter than fat, or stand off the skin, or where cloth of -800 to -450 HU is seen clear"
    " of it; a thin blanket that lies on the skin all over stays.",
    "- Dressings and bandages of gauze on the head stay, but for what lies before a holder, which looks like its"
    " padding: of turbans of 8 mm, drawn on four heads, 4 to 29 % went. Gauze denser than -450 HU over hair looks like"
    " a mask and goes.",
    "- Before a hard holder hair stays as it is where nothing is near. Against a cushion it stays 3 mm deep, since foam"
    " is as faint; where a head with hair lies deep in a cushion of beads, a few percent of the cushion stay as hair.",
    "- Slices thinner than 3 mm are taken together, up to 3 mm, to find patient and equipment; surfaces are then found"
    " in each slice. All real scans that were looked at have slices of 2 mm or more; thinner ones were tried on"
    " phantoms.",
    "- All scans at hand have pixels of 2 mm or more; what is said above of fine pixels rests on real people whose"
    " scans were interpolated, and on phantoms. Where no film of air shows between a pad and skin, a pad as dense as"
    " fat stays in part, and of skin that is as dense as the pad some mL may go; `touching` is said then.",
    "- Sharp kernels darken the fat between skin and skull as much as a gap; where no mask is worn this is told from"
    " one. Behind ears that touch a mask or a holder 10 mL may go then.",
    "- Scans whose values were cut off to a window are taken if it ends at -500 HU or below: what is fainter than its"
    " end is not found, and the result says so (`uncertain`). Others are refused.",
    "- The face of a stiff holder that the patient is pressed on is known from slices in which it is free. Such faces,"
    " pads and boards are looked for behind a patient who lies on the back; of one on the side or the face, and"
    " of boards that lean against the slices, what is pressed on stays.",
    "- A picture that cuts the patient is told (`truncated`). Lungs that it cuts stay, as far as slices show flesh of"
    " the patient on the same side of the picture; where hardly any does, they may go: in 5 of 250 pictures that were"
    " cut out of chests at random more than 20 mL went, .5 L at worst.",
)


def write(rows: Sequence[Row], data: Path, document: Path | None = None) -> None:
    """Write the page.

    Args:
        rows: of all cases and methods.
        data: folder of the real scans, for their licences and patients.
        document: other than Docs/Headrest.md of this project.
    """
    document = document or Path(__file__).parents[2] / "Docs" / "Headrest.md"
    with (data / "scans.csv").open(encoding="utf-8") as file:
        scans = {row["id"]: row for row in csv.DictReader(file)}
    seen = json.loads(SEEN.read_text(encoding="utf-8")) if SEEN.exists() else {}
    write_atomic(document, page(rows, scans, seen).encode())


def page(rows: Sequence[Row], scans: dict[str, dict[str, str]], seen: dict[str, dict[str, Any]]) -> str:
    """The text of the page.

    Args:
        rows: of all cases and methods.
        scans: id to licence and patient.
        seen: id to what was seen: equipment, removed_ml, left, verdict.
    """
    supports = [row for row in rows if row.kind in SUPPORT_KINDS]
    fresh = [row for row in rows if is_fresh(row.person)]
    fine = [row for row in rows if row.kind.endswith(FINE)]
    rows = [row for row in rows if row not in supports and row not in fresh and row not in fine]
    methods = _methods(rows)
    people = {row.person for row in rows}
    cases = {row.case for row in rows}
    return "\n".join(
        [
            "# How well headrest and table are found and the patient is spared",
            "",
            "Written by `python -m HeadrestRemovalLib.evaluation --data DIR --rows FILE`; do not edit.",
            "",
            "Research use only, not a medical device.",
            "",
            "Two numbers for each case: **left** is the share of the equipment's voxels above -900 HU that stays in the"
            " scan, **lost** the share of the patient's voxels above -300 HU that is taken away. An accuracy per pixel"
            " says nothing here, since nearly all pixels are air or deep inside the patient.",
            "",
            f"{len(cases)} cases of {len(people)} people, of whom"
            f" {len([name for name in people if name.startswith('phantom')])} are phantoms. Composed cases are real"
            " heads and bodies, known voxel by voxel since their scans end at the skin or clear of the table, with"
            " equipment drawn into the air around them (`evaluation_cases.py`). Neither these people nor these shapes"
            " were used to train the network. Cases of one person are not independent. The program takes"
            f" *{_NAMES[BEST]}* unless it is told otherwise."
            + "".join(f" {name} is left out: {reason}." for name, reason in LEFT_OUT.items())
            + "".join(
                f" {other} takes the turn of {name} in *{kind}*: {reason}."
                for (name, kind), (other, reason) in INSTEAD.items()
            ),
            "",
            *_summary(rows, methods),
            *_by_kind(rows, methods),
            *_bars(rows, methods),
            *_failures(rows, methods),
            *_fine(fine),
            *_fresh(fresh),
            *_supports(supports),
            *_real(seen, scans),
            "## Limits",
            "",
            *_LIMITS,
            "",
        ]
    )


def _summary(rows: Sequence[Row], methods: Sequence[str]) -> list[str]:
    lines = [
        "## All cases", "",
        "| method | cases | left %, median | left %, worst | lost %, median | lost %, worst | lost mL, worst"
        " | hair, lung and air within the skin lost, too, mL, median and worst"
        " | cases with left <= 1 % and lost <= 0.1 % | refused | CPU s, median |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for method in methods:
        own = [row for row in rows if row.method == method]
        left = [row.left_seen_percent for row in own if row.left_seen_percent is not None]
        good = sum(_good(row) for row in own)
        lines.append(
            f"| {_NAMES[method]} | {len(own)} | {np.median(left):.2f} | {max(left):.2f}"
            f" | {np.median([row.lost_percent for row in own]):.3f} | {max(row.lost_percent for row in own):.3f}"
            f" | {max(row.lost_ml for row in own):.2f}"
            f" | {np.median([row.lost_all_ml for row in own]):.1f}, {max(row.lost_all_ml for row in own):.1f}"
            f" | {good} | {sum(bool(row.refused) for row in own)}"
            f" | {np.median([row.seconds for row in own]):.1f} |"
        )
    for method in methods:
        own = [row for row in rows if row.method == method]
        if len(own) < len({row.case for row in rows}):
            kinds = ", ".join(dict.fromkeys(row.kind for row in own))
            lines += [
                "",
                f"{_NAMES[method].capitalize()}: measured on {len(own)} cases only, of these classes: {kinds}.",
            ]
        left = max(own, key=lambda row: row.left_seen_percent or 0)
        lost = max(own, key=lambda row: row.lost_percent)
        lines += [
            "",
            f"Worst of {_NAMES[method]}: {left.left_seen_percent:.2f} % ({left.left_ml:.1f} mL) left in *{left.case}*;"
            f" {lost.lost_percent:.3f} % ({lost.lost_ml:.2f} mL) lost in *{lost.case}*.",
        ]
    return [*lines, ""]


def _by_kind(rows: Sequence[Row], methods: Sequence[str]) -> list[str]:
    lines = [
        "## Each class of case, worst case", "",
        "Worst left % / worst lost % (worst lost mL) of each class, side by side on the same scans.", "",
        "| class | cases (people) | " + " | ".join(_NAMES[method] for method in methods) + " |",
        "|---|---|" + "---|" * len(methods),
    ]  # fmt: skip
    for kind in dict.fromkeys(row.kind for row in rows):
        own = [row for row in rows if row.kind == kind]
        cells = []
        for method in methods:
            some = [row for row in own if row.method == method]
            left = [row.left_seen_percent for row in some if row.left_seen_percent is not None]
            cells.append(
                f"{f'{max(left):.2f}' if left else '-'} / {max(row.lost_percent for row in some):.3f}"
                f" ({max(row.lost_ml for row in some):.2f})"
                if some
                else "-"
            )
        count = f"{len({row.case for row in own})} ({len({row.person for row in own})})"
        lines.append(f"| {kind} | {count} | " + " | ".join(cells) + " |")
    for method in methods:
        if not method.startswith("recipe"):
            lines += _against_recipes(rows, method, [name for name in methods if name.startswith("recipe")])
    return [*lines, ""]


def _against_recipes(rows: Sequence[Row], method: str, recipes: Sequence[str]) -> list[str]:
    """In which classes a method is worse than a recipe in one of the two numbers, worst case of each class."""
    lines = []
    for recipe in recipes:
        behind = {"leaves more": [], "loses more": []}
        for kind in dict.fromkeys(row.kind for row in rows):
            ours, theirs = (
                [row for row in rows if row.kind == kind and row.method == name] for name in (method, recipe)
            )
            same = {row.case for row in ours}
            theirs = [row for row in theirs if row.case in same]
            if not ours or not theirs:
                continue
            for words, value in (
                ("leaves more", lambda row: row.left_seen_percent or 0.0),
                ("loses more", lambda row: row.lost_percent),
            ):
                if max(map(value, ours)) > max(map(value, theirs)):
                    behind[words].append(kind)
        said = "; ".join(f"{words} in: {', '.join(kinds)}" for words, kinds in behind.items() if kinds)
        lines += [
            "",
            f"{_NAMES[method].capitalize()} beside {_NAMES[recipe]}: {said or 'never worse in either number'}.",
        ]
    return lines


def _bars(rows: Sequence[Row], methods: Sequence[str]) -> list[str]:
    lines = [
        "## Headrest Dice", "",
        "The headrest's blurred edge, where a voxel holds more air than headrest, is not scored, and neither is plain"
        " air (below -970 HU), whose label changes nothing; *strict* scores that air, too. Slicer's recipe does not"
        " tell headrest from the rest: all that it takes away counts.", "",
        "| cases | number (people) | method | Dice, worst | Dice, median | strict Dice, median"
        " | patient tissue lost mL, worst | patient voxels lost, worst |",
        "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    groups = (("not touching (free, gaps of 1-3 mm)", _FREE), ("touching over 10-60 cm2", _TOUCHING))
    for name, kinds in groups:
        for source in ("phantom", "composed"):
            for method in methods:
                own = [
                    row for row in rows
                    if row.kind in kinds and row.method == method and row.source == source
                    and row.headrest_dice is not None
                ]  # fmt: skip
                if own:
                    dices = [row.headrest_dice for row in own]
                    lines.append(
                        f"| {name}, {source} | {len(own)} ({len({row.person for row in own})}) | {_NAMES[method]}"
                        f" | {min(dices):.3f} | {np.median(dices):.3f}"
                        f" | {np.median([row.strict_dice for row in own]):.3f} | {max(row.lost_ml for row in own):.3f}"
                        f" | {max(row.lost_voxels for row in own)} |"
                    )
    return [*lines, ""]


def _failures(rows: Sequence[Row], methods: Sequence[str]) -> list[str]:
    """The cases beyond the bars, for our own methods."""
    lines = ["## Beyond the bars (left > 1 % or lost > 0.1 %)", ""]
    for method in methods:
        if method.startswith("recipe"):
            continue
        own = [row for row in rows if row.method == method]
        bad = [row for row in own if not _good(row)]
        lines.append(f"{_NAMES[method].capitalize()}, {len(bad)} of {len(own)}:")
        lines.append("")
        for row in sorted(bad, key=lambda row: -(row.left_seen_percent or 0) - 10 * row.lost_percent):
            left = "-" if row.left_seen_percent is None else f"{row.left_seen_percent:.2f} %"
            said = f"; said: {', '.join(row.warned)}" if row.warned else ""
            lines.append(
                f"- {row.case}: left {left} ({row.left_ml:.1f} mL), lost {row.lost_percent:.3f} %"
                f" ({row.lost_ml:.2f} mL){said}{f'; refused: {row.refused}' if row.refused else ''}"
            )
        lines += ["", ""] if bad else ["- none", ""]
    return lines


def _methods(rows: Sequence[Row]) -> list[str]:
    return [method for method in _NAMES if any(row.method == method for row in rows)]


def _fine(rows: Sequence[Row]) -> list[str]:
    """The heads once more, on pixels as fine as scanners make them."""
    rows = [replace(row, kind=row.kind.removesuffix(FINE)) for row in rows]
    return _group(
        rows,
        "Fine pixels",
        "The scans at hand have pixels of 2 mm or more; scanners mostly make smaller ones. The heads of the cases above"
        f" were drawn anew on pixels of about 1 mm, the real ones interpolated: {len({row.case for row in rows})} cases"
        f" of {len({row.person for row in rows})} people. No film of air shows in the seams then. In each class the"
        " cases are by turns as drawn, sharpened, smoothed and noisy (`evaluation_kernels.py`). Rules of clustering"
        " were set with these cases in view.",
    )


def _fresh(rows: Sequence[Row]) -> list[str]:
    """The same of people on whom no rule was ever set."""
    people = {row.person for row in rows}
    return _group(
        rows,
        "People on whom nothing was set",
        "The rules of clustering were set with the cases above in view, so that their figures flatter it. These"
        f" {len({row.case for row in rows})} cases of {len(people)} other people"
        f" ({len([name for name in people if name.startswith('phantom')])} of them phantoms) were measured once the"
        " rules stood. They are made in the same way, so that they say nothing of equipment of other kinds. The network"
        " was trained on the heads among them, so that it is not measured here.",
    )


def _supports(rows: Sequence[Row]) -> list[str]:
    """Equipment of other kinds than those that rules and network were made with."""
    return _group(
        rows,
        "Supports of other kinds",
        "Gel rings, horseshoes, cushions of water, towels and the like (`evaluation_supports.py`) in"
        f" {len({row.case for row in rows})} cases of {len({row.person for row in rows})} of the people above. The"
        " network was trained on none of these people, but on rings, rolls and lumps of any form and material. How much"
        " it may change of what clustering found was set with these shapes in view, on other people; the rules of"
        " clustering were not, but for those that keep skulls and ears beside bags of sand and, in part, for how thick"
        " straps are, which were set on these very cases.",
        dice=False,
    )


def _group(rows: Sequence[Row], title: str, text: str, dice: bool = True) -> list[str]:
    """A section with the tables of some of the cases, one level down; nothing without rows."""
    if not rows:
        return []
    methods = _methods(rows)
    bars = _bars(rows, methods) if dice else []
    lines = [*_summary(rows, methods), *_by_kind(rows, methods), *bars, *_failures(rows, methods)]
    return [f"## {title}", "", text, "", *(f"#{line}" if line.startswith("## ") else line for line in lines)]


def _real(seen: dict[str, dict[str, Any]], scans: dict[str, dict[str, str]]) -> list[str]:
    """Real scans with their own equipment: no truth, but pictures that were looked at."""
    if not seen:
        return []
    people = {scans[name]["patient"] for name in seen if name in scans}
    removed = [entry["removed_ml"] for entry in seen.values()]
    return [
        "## Real scans with their own headrests, frames and tables", "",
        f"{len(seen)} scans of {len(people)} patients. Nobody knows their truth: axial, coronal and sagittal pictures"
        " of each with the result drawn on them were looked at. *Patient removed* is what a reader judged to lie within"
        f" the skin; {sum(value > 0 for value in removed)} scans lose something, {sum(removed):.1f} mL together.", "",
        "| scan | licence | region | equipment | patient removed mL | equipment left | seen |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {name} | {scans.get(name, {}).get('licence', '')}"
            f" | {scans.get(name, {}).get('region', '').split(',')[0]}"
            f" | {entry['equipment']} | {entry['removed_ml']:g} | {entry['left']} | {entry['verdict']} |"
            for name, entry in seen.items()
        ),
        "",
    ]  # fmt: skip


def _good(row: Row) -> bool:
    return (row.left_seen_percent or 0) <= 1 and row.lost_percent <= 0.1 and not row.refused
