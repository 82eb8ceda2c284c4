"""Names for result folders that are safe on every disk and tell scans apart."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

ENDINGS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".zip", ".dcm", ".dicom", ".ima")

_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*\ud800-\udfff]')
_RESERVED = {
    "con",
    "prn",
    "aux",
    "nul",
    "summary.csv",
    *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10)),
}
_MOST_BYTES = 120
"""Most systems allow 255 bytes for a name; some room is left for what is put in front and behind."""


def unique_names(paths: Sequence[Path | str]) -> list[str]:
    """A folder name for the result of each path: file or folder name without its ending.

    Where two share a name the folder that they lie in is put in front, and where that is not enough a number behind.
    Names differ also where the disk ignores case. The order and the number of results are those of the paths.

    Args:
        paths: files or folders, which need not exist.
    """
    places = [Path(path).absolute() for path in paths]
    names = [_safe(_without_ending(place)) for place in places]
    parents: dict[str, set[str]] = {}
    for name, place in zip(names, places):
        parents.setdefault(name.casefold(), set()).add(place.parent.name.casefold())
    names = [  # a folder that they share as well would tell nothing
        name if len(parents[name.casefold()]) == 1 else _safe(f"{place.parent.name}-{_without_ending(place)}")
        for name, place in zip(names, places)
    ]
    count = Counter(name.casefold() for name in names)
    taken = {name for name in count if count[name] == 1}
    unique = []
    for name in names:
        candidate, number = name, 2
        if count[name.casefold()] > 1:
            while candidate.casefold() in taken:
                candidate, number = f"{name}-{number}", number + 1
            taken.add(candidate.casefold())
        unique.append(candidate)
    return unique


def distinct_name(text: str, empty: str) -> str:
    """A name for a file or folder that stands for a text; another text has another name.

    Where the text can't be a name as it is (``../../x``, ``con``, too long), what can be kept of it is followed by
    eight digits of its SHA-256.

    Args:
        text: any text; white space around it does not count.
        empty: name for an empty text.
    """
    text = text.strip()
    if not text:
        return empty
    name = _safe(text)
    if name == text:
        return name
    return f"{name}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def is_safe_name(name: str) -> bool:
    """Whether the name can be that of a result folder everywhere."""
    return bool(name) and name == name.strip(" .") and not _UNSAFE.search(name) and name.casefold() not in _RESERVED


def _without_ending(path: Path) -> str:
    """The name without the ending of a volume file; a folder's name is taken as it is."""
    name = path.resolve().name if path.name in ("", "..") else path.name
    if path.is_dir():
        return name
    return next((name[: -len(end)] for end in ENDINGS if name.lower().endswith(end)), name)


def _safe(name: str) -> str:
    """The name with everything replaced that some disk can't store."""
    name = _UNSAFE.sub("_", unicodedata.normalize("NFC", name))
    name = name.encode()[:_MOST_BYTES].decode(errors="ignore").strip(" .") or "scan"
    return f"{name}_" if name.split(".")[0].casefold() in _RESERVED or name.casefold() in _RESERVED else name
