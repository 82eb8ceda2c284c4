"""What the keys of Annotate do, without widgets: every change is on disk and in the scene when it returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import slicer

from . import label_files, label_nodes
from .label_session import LabelSession, Proposal, Row, landmarkOf


@dataclass
class _Kept:
    """A session, and where its labels are.

    Attributes:
        place: from ``label_files.placeOf``; kept, since asking lists the folder of the slices.
        known: the labels when they were read or written last: what differs from it in the file others have changed.
    """

    session: LabelSession
    node: object
    identity: tuple
    source: label_files.Source
    folder: str
    place: Path | None = None
    known: dict[str, int] = field(default_factory=dict)
    saved: label_files.Saved = field(default_factory=lambda: label_files.Saved(None))
    notice: str = ""


@dataclass(frozen=True)
class Labelling:
    """What the panel shows of a series.

    Attributes:
        rows: all landmarks from head to feet.
        contradictions: what in the labels can't be true, with ``landmarks`` and ``text``.
        saved: the labels.json that holds them; None where there is none.
        problem: why the labels are not saved where they should be, or empty.
        notice: what else there is to say, such as that labels were found and loaded.
        canUndo: whether there is a change to take back.
        canRedo: whether a change was taken back.
    """

    rows: tuple[Row, ...] = ()
    contradictions: tuple = ()
    saved: Path | None = None
    problem: str = ""
    notice: str = ""
    canUndo: bool = False
    canRedo: bool = False

    @property
    def count(self) -> int:
        """How many landmarks are labelled."""
        return sum(row.position is not None for row in self.rows)

    def row(self, name: str) -> Row:
        """The row of a landmark."""
        return next(row for row in self.rows if row.name == name)


@dataclass(frozen=True)
class ShownSlice:
    """A slice: its index as stored, world z, and the landmarks that it is labelled with."""

    index: int
    zMm: float
    names: tuple[str, ...]


@dataclass
class Annotations:
    """The label sessions of the volumes in the scene.

    Attributes:
        spareFolder: where labels go that can't be saved in their place.
        folder: gives the folder for labels that the user chose; empty for beside the data.
        listeners: called with the volume node after every change, also one that a script made.
    """

    spareFolder: Path
    folder: Callable[[], str] = lambda: ""
    listeners: list[Callable[[object], None]] = field(default_factory=list)
    _kept: dict[str, _Kept] = field(default_factory=dict)

    def labelling(self, volumeNode) -> Labelling:
        """The state of a volume's labels; those that were saved before are loaded.

        Raises:
            CTError: no volume, or one that has no slices.
        """
        kept = self._of(volumeNode)
        session = kept.session
        return Labelling(
            rows=tuple(session.rows()),
            contradictions=tuple(session.contradictions()),
            saved=kept.saved.path,
            problem=kept.saved.problem,
            notice=kept.notice,
            canUndo=session.canUndo,
            canRedo=session.canRedo,
        )

    def sliceAt(self, volumeNode, position: int) -> ShownSlice:
        """What there is to say of a slice."""
        session = self._of(volumeNode).session
        slices = session.slices
        return ShownSlice(slices.index[position], slices.zMm[position], tuple(session.namesAt(position)))

    def labelSlice(self, volumeNode, landmark: str, zMm: float | None = None) -> Labelling:
        """Label a slice with a landmark; an earlier label of the landmark moves.

        Args:
            volumeNode: the scan.
            landmark: a key or a name.
            zMm: world z of the slice; None for the slice that the active axial view shows.

        Raises:
            CTError: no such landmark, or no axial view shows the scan.
        """
        session = self._of(volumeNode).session
        name = landmarkOf(landmark)
        position = label_nodes.shownSlice(volumeNode) if zMm is None else session.slices.nearest(zMm)
        return self._after(volumeNode, session.label(name, position))

    def removeLabel(self, volumeNode, landmark: str | None = None) -> Labelling:
        """Take a label away: of a landmark, or whatever the shown slice is labelled with.

        Raises:
            CTError: there is no label to take away.
        """
        from CTVolumeLib.errors import CTError

        session = self._of(volumeNode).session
        if landmark is not None:
            names = [landmarkOf(landmark)] if landmarkOf(landmark) in session.labels else []
        else:
            names = session.namesAt(label_nodes.shownSlice(volumeNode))
        if not names:
            what = landmarkOf(landmark) if landmark is not None else "This slice"
            raise CTError("no_label", f"{what} has no label.", "Choose a labelled landmark in the table.")
        changed = session.replaceAll({name: there for name, there in session.labels.items() if name not in names})
        return self._after(volumeNode, changed)

    def undo(self, volumeNode) -> Labelling:
        """Take the last change back."""
        return self._after(volumeNode, self._of(volumeNode).session.undo())

    def redo(self, volumeNode) -> Labelling:
        """Make the change again that was taken back last."""
        return self._after(volumeNode, self._of(volumeNode).session.redo())

    def propose(self, volumeNode, location) -> Labelling:
        """Offer the landmarks of a location as proposals.

        Args:
            volumeNode: the scan.
            location: its ``ScanLocation``.

        Raises:
            CTError: the scan was refused.
        """
        from CTVolumeLib.errors import CTError

        session = self._of(volumeNode).session
        if location.refused is not None:
            raise CTError("refused", location.refused.text, "Label this scan by hand.")
        session.proposals = {
            estimate.name: Proposal(session.slices.nearest(estimate.z_mm), estimate.z_mm, estimate.sigma_mm)
            for estimate in location.landmarks
            if estimate.inside and estimate.z_mm is not None
        }
        return self._after(volumeNode, False)

    def accept(self, volumeNode, landmark: str) -> Labelling:
        """Label a landmark where the model proposes it.

        Raises:
            CTError: there is no proposal for it.
        """
        session = self._of(volumeNode).session
        return self._after(volumeNode, session.label(landmark, self._proposal(session, landmark).position))

    def goTo(self, volumeNode, landmark: str) -> tuple[float, float, float]:
        """Move the views to a landmark's label or, without one, to where the model proposes it; RAS mm.

        Raises:
            CTError: it has neither.
        """
        session = self._of(volumeNode).session
        name = landmarkOf(landmark)
        position = session.labels.get(name)
        if position is None:
            position = self._proposal(session, name).position
        return label_nodes.goToSlice(volumeNode, position)

    def load(self, volumeNode, path: Path | str) -> Labelling:
        """Take the labels of a labels.json or .mrk.json; undo brings back what was there.

        Raises:
            CTError: it can't be read, or it is of another series.
        """
        from CTSliceLocalizerLib import annotations
        from CTVolumeLib.errors import CTError

        path = Path(path)
        session = self._of(volumeNode).session
        if path.name.lower().endswith(".mrk.json"):
            points = {name: point.position for name, point in annotations.read_markups(path).landmarks.items()}
            labels = label_nodes.nearestPositions(volumeNode, points)
            if points and not labels:
                raise CTError("other_series", f"No point of {path.name} lies in this scan.", "Choose its own markups.")
        else:
            labels = label_files.read(path, session.slices)
        return self._after(volumeNode, session.replaceAll(labels), f"{len(labels)} labels loaded from {path.name}.")

    def save(self, volumeNode, path: Path | str | None = None) -> Labelling:
        """Write the labels again, or into another labels.json or .mrk.json.

        Raises:
            CTError: it can't be written, or it holds the labels of another series.
        """
        from CTSliceLocalizerLib import annotations

        if path is None:
            return self._after(volumeNode, True)
        kept, path = self._of(volumeNode), Path(path)
        if path.name.lower().endswith(".mrk.json"):
            before = annotations.read_markups(path) if path.exists() else None
            foreign = (
                [] if before is None else [point for point in before.points if point.label not in before.landmarks]
            )
            annotations.write_markups(path, label_nodes.pointsOf(volumeNode, kept.session) + foreign, before)
        else:
            label_files.write(kept.session, path)
        kept.notice = f"{len(kept.session.labels)} labels saved to {path.name}."
        return self.labelling(volumeNode)

    def forget(self) -> None:
        """Drop the sessions of volumes that are gone; their labels are saved."""
        for key, kept in list(self._kept.items()):
            if slicer.mrmlScene.GetNodeByID(key) is not kept.node:
                del self._kept[key]

    def _of(self, volumeNode) -> _Kept:
        """The session of a volume, at the place where the volume lies now."""
        kept = self._kept.get(volumeNode.GetID()) if volumeNode is not None else None
        if kept is None or kept.node is not volumeNode or kept.identity != label_nodes.identityOf(volumeNode):
            kept = self._opened(volumeNode)
        slices = label_nodes.slicesOf(volumeNode, kept.source)
        if kept.session.slices != slices:
            kept.session.moveTo(slices)
            self._store(volumeNode, kept)
        if kept.folder != self.folder():
            kept.folder = self.folder()
            kept.place = label_files.placeOf(kept.source, kept.folder)
            self._adopt(volumeNode, kept)
        return kept

    def _opened(self, volumeNode) -> _Kept:
        """A session with the labels that were saved: on disk, or in the scene where the disk has none."""
        self.forget()
        source = label_nodes.sourceOf(volumeNode)
        slices = label_nodes.slicesOf(volumeNode, source)
        stored, savedTo = label_nodes.storedLabels(volumeNode, slices)
        identity = label_nodes.identityOf(volumeNode)
        kept = _Kept(LabelSession(slices, stored), volumeNode, identity, source, self.folder())
        kept.place = label_files.placeOf(source, kept.folder)
        # The spare copy first: it is there only where the place could not be written.
        for path in (self._spare(kept), kept.place):
            if path is None or not _exists(path) or (stored and savedTo != path):
                continue
            labels = self._read(kept, path)
            if labels is not None:
                kept.session = LabelSession(slices, labels)
                kept.notice = f"{len(labels)} labels found in {path.name}." if labels else ""
                break
        kept.known = dict(kept.session.labels)
        self._kept[volumeNode.GetID()] = kept
        self._write(volumeNode, kept)
        return kept

    def _adopt(self, volumeNode, kept: _Kept) -> None:
        """Another folder for labels was chosen: what it holds of this series counts, and undo brings back the rest."""
        place = kept.place
        if place is not None and _exists(place):
            labels = self._read(kept, place)
            kept.known = dict(labels or {})
            if labels and kept.session.replaceAll(labels):
                kept.notice = f"{len(labels)} labels found in {place.name}; undo brings back those before."
        self._write(volumeNode, kept)

    def _spare(self, kept: _Kept) -> Path:
        return label_files.spareOf(kept.source, self.spareFolder)

    @staticmethod
    def _read(kept: _Kept, path: Path) -> dict[str, int] | None:
        from CTVolumeLib.errors import CTError

        try:
            return label_files.read(path, kept.session.slices)
        except CTError as error:
            kept.notice = str(error)
            return None

    def _after(self, volumeNode, changed: bool, notice: str = "") -> Labelling:
        """Save what changed, at once."""
        kept = self._of(volumeNode)
        kept.notice = notice
        if changed:
            self._write(volumeNode, kept)
        for listener in self.listeners:
            listener(volumeNode)
        return self.labelling(volumeNode)

    def _write(self, volumeNode, kept: _Kept) -> None:
        if kept.place is None and not kept.session.labels:
            kept.saved = label_files.Saved(None)
        else:
            self._takeOver(kept)
            kept.saved = label_files.save(kept.session, kept.place, self._spare(kept))
            kept.known = dict(kept.session.labels)
        self._store(volumeNode, kept)

    def _takeOver(self, kept: _Kept) -> None:
        """What others have changed in the file since: taken over, where it is not what was changed here."""
        if kept.saved.path != kept.place or kept.place is None or not _exists(kept.place):
            return
        there = self._read(kept, kept.place)
        if there is None or there == kept.known:
            return
        mine = kept.session.labels
        changed = {name for name in {*mine, *kept.known} if mine.get(name) != kept.known.get(name)}
        merged = {name: position for name, position in there.items() if name not in changed}
        merged |= {name: position for name, position in mine.items() if name in changed}
        kept.session.labels = merged
        kept.notice = f"{kept.place.name} was changed elsewhere; its labels are taken over."

    @staticmethod
    def _store(volumeNode, kept: _Kept) -> None:
        label_nodes.storeLabels(volumeNode, kept.session, kept.saved.path)

    @staticmethod
    def _proposal(session: LabelSession, landmark: str) -> Proposal:
        from CTVolumeLib.errors import CTError

        name = landmarkOf(landmark)
        if name not in session.proposals:
            raise CTError("no_proposal", f"The model proposes no place for {name}.", "Label it by hand.")
        return session.proposals[name]


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False
