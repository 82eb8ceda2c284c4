"""How good lungs and light are on real CT: ``python -m LungSegmentLib.evaluation --data DIR``.

Every scan with a reference is segmented as it is and made ill (``evaluation_ill``, ``evaluation_heldout``), and each
result is compared with its truth. Of scans without a reference only the light is kept. Docs/Lungs.md is written from
here. The rows are kept in a file, so that a stopped run goes on.
"""

from __future__ import annotations

import csv
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import click
import numpy as np
import SimpleITK as sitk
from CTVolumeLib import dicom
from CTVolumeLib.boxes import bounding_box
from CTVolumeLib.cells import slice_step
from CTVolumeLib.errors import CTError
from CTVolumeLib.volume import CTVolume

from . import evaluation_heldout, evaluation_ill, evaluation_page, lungs, quality
from .shapes import distance

REAL = "as it is"
NO_REFERENCE = "without a reference"
GOOD_DICE = 0.95


@dataclass(frozen=True)
class Row:
    """One result beside its truth.

    Attributes:
        scan: its name in the data.
        patient: whose scan it is.
        kind: ``REAL``, ``NO_REFERENCE`` (there Dice means nothing), or what was done to the scan.
        severity: how much of it.
        must_flag: the result needs a look also where it is right: fluid or airless lung lies beside it.
        dice: of both lungs, left and right; 0 for lungs that were refused.
        surface_mm: mean distance of the surfaces of result and truth, both ways; of scans as they are.
        voxel_third_mm: a third of the voxel's diagonal.
        swapped_percent: voxels of the truth that were given to the other side.
        airway_percent: voxels of the airways that were given to the lungs; None where nobody drew the airways.
        colour: of the light, or "refused".
        signs: codes of the light's reasons.
        millilitres: of the truth.
        held_out: made ill by ``evaluation_heldout``.
    """

    scan: str
    patient: str
    kind: str
    severity: str
    must_flag: bool
    dice: float
    dice_left: float
    dice_right: float
    surface_mm: float | None
    voxel_third_mm: float
    swapped_percent: float
    airway_percent: float | None
    colour: str
    signs: tuple[str, ...]
    millilitres: float
    held_out: bool = False

    @property
    def flagged(self) -> bool:
        """Whether the light is not green."""
        return self.colour != quality.GREEN


@dataclass(frozen=True, eq=False)
class Case:
    """A scan with its reference, axial.

    Attributes:
        truth: (k, j, i) uint8 1 left, 2 right lung.
        ignored: (k, j, i) bool airless lung that the reference leaves open, or None.
        airway: (k, j, i) bool, or None.
    """

    scan: str
    patient: str
    volume: CTVolume
    truth: np.ndarray
    ignored: np.ndarray | None
    airway: np.ndarray | None


def cases(data: Path, scans: Sequence[str] = ()) -> Iterator[Case]:
    """The scans that have a reference.

    Args:
        data: folder with ``scans.csv``, ``vol/`` and ``mask/``.
        scans: names, or empty for all.
    """
    patients = {row["id"]: row["patient"] for row in csv.DictReader((data / "scans.csv").open(encoding="utf-8"))}
    for path in sorted((data / "mask").glob("*_lung.nii.gz")):
        name = path.name.removesuffix("_lung.nii.gz")
        if scans and name not in scans:
            continue
        volume = dicom.read(data / "vol" / f"{name}.nii.gz")

        def mask(what: str, name: str = name, volume: CTVolume = volume) -> np.ndarray | None:
            file = data / "mask" / f"{name}_{what}.nii.gz"
            if not file.exists():
                return None
            stored = sitk.GetArrayFromImage(sitk.ReadImage(str(file))).astype(np.uint8)
            return volume.with_array(stored).as_axial().array

        solid, airway = mask("solid"), mask("airway")
        yield Case(
            name, patients[name], volume.as_axial(), mask("lung"), *(m if m is None else m > 0 for m in (solid, airway))
        )


def rows_of(case: Case, *, ill: bool = True, every: int = 1, offset: int = 0) -> Iterator[Row]:
    """The scan as it is, then made ill, first as the limits of the light were chosen, then in other ways.

    Args:
        case: the scan.
        ill: whether it is made ill.
        every: of the ill-made scans only each so many is taken.
        offset: from which one on.
    """
    yield row_of(case, evaluation_ill.IllScan(REAL, "", case.volume, case.truth))
    if not ill:
        return
    seed = zlib.crc32(case.scan.encode())
    for makers in (evaluation_ill, evaluation_heldout):
        for number, scan in enumerate(makers.all_of(case.volume, case.truth, seed)):
            if (number + offset) % every == 0:
                yield replace(row_of(case, scan), held_out=makers is evaluation_heldout)


def row_without_reference(name: str, patient: str, volume: CTVolume) -> Row:
    """The light of a scan that nobody drew lungs in."""
    empty = np.zeros(volume.array.shape, np.uint8)
    case = Case(name, patient, volume, empty, None, None)
    return row_of(case, evaluation_ill.IllScan(NO_REFERENCE, "", volume, empty))


def row_of(case: Case, scan: evaluation_ill.IllScan) -> Row:
    """Segment, judge and compare one scan."""
    try:
        result = lungs.segment(scan.volume)
    except CTError as error:
        if error.code != "no_lungs":
            raise
        return compare(case, scan, None, None)
    return compare(case, scan, result.labels, quality.judge(scan.volume, result))


def compare(
    case: Case, scan: evaluation_ill.IllScan, labels: np.ndarray | None, light: quality.Light | None
) -> Row:  # fmt: skip
    """One result beside its truth; None and None for a scan that was refused."""
    spacing = (*scan.volume.spacing[:2], slice_step(scan.volume))
    whole = case.ignored is None or case.ignored.shape != scan.truth.shape
    judged = np.ones(scan.truth.shape, bool) if whole else ~case.ignored
    truth = np.where(judged, scan.truth, 0)
    found = np.zeros_like(truth) if labels is None else np.where(judged & (labels < 3), labels, 0)
    both, wanted = found > 0, truth > 0
    measured = scan.kind == REAL
    airway = case.airway if measured else None
    return Row(
        scan=case.scan, patient=case.patient, kind=scan.kind, severity=scan.severity,
        must_flag=scan.must_flag or case.ignored is not None,
        dice=dice(both, wanted), dice_left=dice(found == 1, truth == 1), dice_right=dice(found == 2, truth == 2),
        surface_mm=surface_distance(both, wanted, spacing) if measured and both.any() and wanted.any() else None,
        voxel_third_mm=round(float(np.linalg.norm(spacing)) / 3, 2),
        swapped_percent=_percent((both & wanted & (found != truth)).sum(), wanted.sum()),
        airway_percent=None if airway is None or not airway.any() else _percent((both & airway).sum(), airway.sum()),
        colour="refused" if light is None else light.colour,
        signs=() if light is None else tuple(sign.code for sign in light.signs),
        millilitres=round(float(wanted.sum() * np.prod(spacing) / 1000), 1),
    )  # fmt: skip


def dice(first: np.ndarray, second: np.ndarray) -> float:
    """Twice the common part by the sum; 1 for two empty masks."""
    total = int(first.sum()) + int(second.sum())
    return round(2 * int((first & second).sum()) / total, 4) if total else 1.0


def surface_distance(first: np.ndarray, second: np.ndarray, spacing: Sequence[float]) -> float:
    """Mean distance in mm from the surface voxels of each mask to the surface of the other."""
    box = bounding_box(first | second, spacing, 10.0)
    to_first, to_second = (distance(mask[box], spacing) for mask in (first, second))
    # The map is 0 on the mask's outermost voxels.
    apart = np.concatenate([np.abs(to_second[to_first == 0]), np.abs(to_first[to_second == 0])])
    return round(float(apart.mean()), 2)


def read_rows(path: Path) -> list[Row]:
    """The rows of a file, one JSON object a line; empty where there is none."""
    if not path.exists():
        return []
    stored = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [Row(**{**row, "signs": tuple(row["signs"])}) for row in stored]


def append_row(path: Path, row: Row) -> None:
    """Add a row to a file."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(row)) + "\n")


def _percent(part: float, whole: float) -> float:
    return round(100 * float(part) / max(float(whole), 1.0), 2)


@click.command()
@click.option("--data", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path), help="Real CT.")
@click.option("--rows", "file", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Kept results.")
@click.option("--scan", "scans", multiple=True, help="Only this scan; may be repeated.")
@click.option("--every", default=1, show_default=True, help="Take only each so many of the ill-made scans.")
@click.option("--document/--no-document", default=True, help="Write Docs/Lungs.md from all rows.")
def main(data: Path, file: Path, scans: tuple[str, ...], every: int, document: bool) -> None:
    """Measure lungs and light on real CT."""
    have = {row.scan for row in read_rows(file)}
    for offset, case in enumerate(cases(data, scans)):
        if case.scan in have:
            continue
        rows = list(rows_of(case, every=every, offset=offset))
        for row in rows:
            append_row(file, row)
        click.echo(f"{case.scan}: Dice {rows[0].dice}, {rows[0].colour}; {len(rows) - 1} ill-made scans")
    patients = {row["id"]: row["patient"] for row in csv.DictReader((data / "scans.csv").open(encoding="utf-8"))}
    for name in evaluation_page.SEEN:
        if name not in have and not scans:
            row = row_without_reference(name, patients[name], dicom.read(data / "vol" / f"{name}.nii.gz").as_axial())
            append_row(file, row)
            click.echo(f"{name}: {row.colour}")
    if document:
        evaluation_page.write(read_rows(file), data)


if __name__ == "__main__":
    main()
