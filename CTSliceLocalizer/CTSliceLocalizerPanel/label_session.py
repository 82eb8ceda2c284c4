"""The labels of one series: which slice shows which landmark, with undo. Knows neither widgets nor nodes nor disks.

Slices are counted from the feet to the head, whatever way the series is stored; a count like that is called a position.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class SeriesSlices:
    """The axial slices of a series, from the feet to the head.

    Attributes:
        zMm: world z of each slice's centre (LPS and RAS have the same z).
        index: of each slice in the series as it is stored, k.
        files: what labels.json calls each slice, each another name: the name of its file, or, where slices have no file
            of their own, ``"scan.nii.gz#57"`` with the index as stored.
        numbers: InstanceNumber of each slice as text, or empty.
    """

    zMm: tuple[float, ...]
    index: tuple[int, ...]
    files: tuple[str, ...]
    numbers: tuple[str, ...] = ()

    def positionOf(self, file: str) -> int | None:
        """The slice that a labels.json means; None where it is of another series.

        A name that no file of the series has is taken for an instance number, ``"69.dcm"``, as organized folders have
        them: Slicer's database may have given the files other names.
        """
        if file in self.files:
            return self.files.index(file)
        number = file[:-4] if file.lower().endswith(".dcm") else ""
        if number.isdigit() and self.numbers.count(number) == 1:
            return self.numbers.index(number)
        return None

    def nearest(self, zMm: float) -> int:
        """The slice whose centre lies nearest to a height."""
        return min(range(len(self.zMm)), key=lambda position: abs(self.zMm[position] - zMm))


@dataclass(frozen=True)
class Proposal:
    """Where the model takes a landmark to be: position, height and its standard deviation in mm."""

    position: int
    zMm: float
    sigmaMm: float


@dataclass(frozen=True)
class Row:
    """A landmark in the table: its label or, where it has none, what the model proposes.

    Attributes:
        index: of the labelled or proposed slice as it is stored; None without either.
    """

    key: str
    name: str
    position: int | None
    index: int | None
    zMm: float | None
    file: str
    proposal: Proposal | None


def landmarkOf(keyOrName: str) -> str:
    """The name of a landmark by its key or its name.

    Raises:
        CTError: there is no such landmark.
    """
    from CTSliceLocalizerLib.landmarks import LANDMARKS
    from CTVolumeLib.errors import CTError

    for landmark in LANDMARKS:
        if keyOrName in (landmark.key, landmark.name):
            return landmark.name
    raise CTError(
        "no_landmark",
        f"There is no landmark {keyOrName!r}.",
        f"Use a key of {' '.join(landmark.key for landmark in LANDMARKS)} or a name, such as C1.",
    )


class LabelSession:
    """Labels of a series while somebody works on them.

    Attributes:
        slices: of the series.
        labels: position of each labelled landmark.
        proposals: of the model, by landmark.
    """

    def __init__(self, slices: SeriesSlices, labels: Mapping[str, int] | None = None) -> None:
        self.slices = slices
        self.labels: dict[str, int] = dict(labels or {})
        self.proposals: dict[str, Proposal] = {}
        self._before: list[dict[str, int]] = []
        self._undone: list[dict[str, int]] = []

    @property
    def canUndo(self) -> bool:
        """Whether there is a change to take back."""
        return bool(self._before)

    @property
    def canRedo(self) -> bool:
        """Whether a change was taken back."""
        return bool(self._undone)

    def label(self, name: str, position: int) -> bool:
        """Say that a slice shows a landmark; an earlier label of it moves. Whether that changed anything.

        Raises:
            CTError: there is no such landmark or slice.
        """
        from CTVolumeLib.errors import CTError

        name = landmarkOf(name)
        if not 0 <= position < len(self.slices.zMm):
            raise CTError("no_slice", f"The series has no slice at position {position}.", "Go to a slice of the scan.")
        return self._change({**self.labels, name: position})

    def remove(self, name: str) -> bool:
        """Take a landmark's label away. Whether there was one.

        Raises:
            CTError: there is no such landmark.
        """
        name = landmarkOf(name)
        return self._change({other: position for other, position in self.labels.items() if other != name})

    def replaceAll(self, labels: Mapping[str, int]) -> bool:
        """Take other labels instead, such as those of a file, as one step to undo."""
        return self._change(dict(labels))

    def undo(self) -> bool:
        """Take the last change back."""
        return self._step(self._before, self._undone)

    def redo(self) -> bool:
        """Make the change again that was taken back last."""
        return self._step(self._undone, self._before)

    def namesAt(self, position: int) -> list[str]:
        """The landmarks that are labelled at a slice."""
        return [name for name, there in self.labels.items() if there == position]

    def rows(self) -> list[Row]:
        """All landmarks from head to feet."""
        from CTSliceLocalizerLib.landmarks import LANDMARKS

        rows = []
        for landmark in LANDMARKS:
            position = self.labels.get(landmark.name)
            there = position is not None
            proposal = None if there else self.proposals.get(landmark.name)
            shown = position if proposal is None else proposal.position
            rows.append(
                Row(
                    key=landmark.key,
                    name=landmark.name,
                    position=position,
                    index=None if shown is None else self.slices.index[shown],
                    zMm=self.slices.zMm[position] if there else None,
                    file=self.slices.files[position] if there else "",
                    proposal=proposal,
                )
            )
        return rows

    def contradictions(self) -> list:
        """What in the labels contradicts anatomy: ``CTSliceLocalizerLib.annotations.Contradiction``."""
        from CTSliceLocalizerLib.annotations import contradictions

        return contradictions({name: self.slices.zMm[position] for name, position in self.labels.items()})

    def written(self, before=None):
        """The labels as a labels.json holds them.

        Args:
            before: the ``Labels`` that the file holds now; its other keys, order and indentation stay.
        """
        from CTSliceLocalizerLib.annotations import Labels
        from CTSliceLocalizerLib.landmarks import NAMES

        labels = before or Labels()
        for name in NAMES:
            if name in self.labels:
                labels = labels.with_label(name, self.slices.files[self.labels[name]])
            elif name in labels.landmarks:
                labels = labels.without(name)
        return labels

    def moveTo(self, slices: SeriesSlices) -> None:
        """The volume was moved: the same slices lie elsewhere. Proposals were made at the old place and go."""
        if slices != self.slices:
            self.slices, self.proposals = slices, {}

    def _change(self, labels: dict[str, int]) -> bool:
        if labels == self.labels:
            return False
        self._before.append(self.labels)
        self._undone.clear()
        self.labels = labels
        return True

    def _step(self, source: list[dict[str, int]], target: list[dict[str, int]]) -> bool:
        if not source:
            return False
        target.append(self.labels)
        self.labels = source.pop()
        return True


def positionsIn(labels, slices: SeriesSlices, file: str) -> dict[str, int]:
    """The positions that a labels.json means.

    Args:
        labels: ``CTSliceLocalizerLib.annotations.Labels``.
        slices: of the series.
        file: name of the file, for messages.

    Raises:
        CTError: it names files that the series does not have.
    """
    from CTVolumeLib.errors import CTError

    found: dict[str, int] = {}
    for name, slice_ in labels.landmarks.items():
        position = slices.positionOf(slice_)
        if position is None:
            line = labels.lines.get(name)
            raise CTError(
                "other_series",
                f"{file}{f', line {line}' if line else ''}: {slice_} is no slice of this series.",
                "Choose the labels of this series, or another folder for labels.",
            )
        found[name] = position
    return found


def sliceNames(sources: tuple[str, ...], index: tuple[int, ...], scan: str) -> tuple[str, ...]:
    """What labels.json calls each slice: see ``SeriesSlices.files``.

    Args:
        sources: path of the file of each slice, or empty.
        index: of each slice as stored.
        scan: name of the volume's file, or of the volume.
    """
    names = [source.replace("\\", "/").rsplit("/", 1)[-1] for source in sources] or [scan] * len(index)
    if len(set(names)) == len(names) and sources:
        return tuple(names)
    return tuple(f"{name}#{k}" for name, k in zip(names, index))
