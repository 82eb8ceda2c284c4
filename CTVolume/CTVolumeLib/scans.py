"""From the paths that a user gives to scans: what is to be worked on, each once and with a name of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import dicom, volumefile
from .batch import Item
from .errors import CTError
from .names import unique_names
from .volume import CTVolume

_Found = tuple[Path, tuple[str, ...], Any]
"""Source that names the result, files that it depends on, payload of the item."""


def find_items(
    scans: Sequence[Path],
    settings: Mapping[str, Any],
    *,
    say: Callable[[str], None],
    progress: Callable[[int, int, str], bool] | None = None,
) -> list[Item]:
    """One piece of work for each CT series and volume file in the paths, each once.

    A path in which nothing is usable becomes an item as well, one that will fail with the reason.

    Args:
        scans: files, folders and zips.
        settings: what the results depend on, plain JSON values.
        say: told which series are skipped and why.
        progress: called with files done, files in all, and a text; False cancels.
    """
    found: dict[tuple[str, ...], _Found] = {}
    for scan in scans:
        for source, files, payload in _found_in(scan.resolve(), say, progress):
            found.setdefault(files or (str(source),), (source, files, payload))
    names = unique_names([source for source, _, _ in found.values()])
    return [
        Item(name, source, files=_on_disk(files), settings=settings, payload=payload)
        for name, (source, files, payload) in zip(names, found.values())
    ]


def volume_of(item: Item) -> CTVolume:
    """The scan of an item, read.

    Args:
        item: payload is a DICOM series, a CTError to be reported, or None to read the source.

    Raises:
        CTError: the scan can't be read.
    """
    if isinstance(item.payload, CTError):
        raise item.payload
    if item.payload is None:
        return read(Path(item.source))
    return _named(dicom.read_series(item.payload), Path(item.source))


def read(path: Path) -> CTVolume:
    """The scan at a path, with the name that results give it: that of its file or folder."""
    return _named(dicom.read(path), path)


def _found_in(scan: Path, say: Callable[[str], None], progress: Callable[[int, int, str], bool] | None) -> list[_Found]:
    if scan.is_file() and volumefile.is_volume_name(scan.name):
        return [(scan, (str(scan),), None)]
    try:
        series = dicom.series_in(scan, progress)
    except CTError as error:
        if error.code == "cancelled":
            raise
        return [(scan, (), error)]
    usable = [one for one in series if one.unusable is None]
    volumes = [path for path in sorted(scan.rglob("*")) if path.is_file() and volumefile.is_volume_name(path.name)]
    if not usable and not volumes:
        return [(scan, (), None)]  # reading it will say why
    for one in series:
        if one.unusable is not None:
            say(f"Skipped in {scan.name}: {one.description}: {one.unusable}.")
    alone = len(usable) + len(volumes) == 1
    return [(scan if alone else Path(one.folder), one.files, one) for one in usable] + [
        (path, (str(path),), None) for path in volumes
    ]


def _on_disk(files: tuple[str, ...]) -> tuple[str, ...]:
    """Files as they are on disk: for members of a zip the zip."""
    found = []
    for name in files:
        path = Path(name)
        while not path.exists() and path != path.parent:
            path = path.parent
        found.append(str(path))
    return tuple(dict.fromkeys(found))


def _named(volume: CTVolume, path: Path) -> CTVolume:
    return replace(volume, meta={**volume.meta, "source": path.resolve().name})
