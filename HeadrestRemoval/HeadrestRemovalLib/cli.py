"""The command ``ct-headrest``. Heavy packages are imported inside functions, so that ``--help`` is quick."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click
from CTVolumeLib.commands import (
    CONTEXT,
    Bar,
    exit_code,
    jobs_option,
    out_option,
    run,
    say,
    scans_argument,
    scheduler_option,
    table,
    talkative,
)

_PROGRAM = "ct-headrest"
_COLUMNS = ("slices", "headrest_ml", "table_ml", "other_ml", "contact_cm2", "method", "warnings")
_LOWEST_FILL, _HIGHEST_FILL = -1024, 3071


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: its arguments; None takes those of the process.

    Returns:
        The exit code, see ``CTVolumeLib.commands``.
    """
    return run(_remove, argv, _PROGRAM, {"bad_option", "wrong_call"})


def _fill(_context: click.Context, _parameter: click.Parameter, value: str) -> float | str:
    """The HU of what is removed, or "air"."""
    if value.strip().lower() == "air":
        return "air"
    try:
        hu = float(value)
    except ValueError:
        hu = float("nan")
    if not (_LOWEST_FILL <= hu <= _HIGHEST_FILL and hu == int(hu)):
        raise click.BadParameter(f"{value!r} is neither a whole number of {_LOWEST_FILL} to {_HIGHEST_FILL} nor air.")
    return hu


@click.command(context_settings=CONTEXT)
@click.version_option(None, "--version", package_name="CTSliceLocalizer", prog_name=_PROGRAM)
@scans_argument
@out_option
@jobs_option
@scheduler_option
@click.option("--method", type=click.Choice(["auto", "clustering", "network", "both"]), default="auto",
              show_default=True, help="How equipment is found; auto is the one that measured best.")  # fmt: skip
@click.option("--fill", metavar="HU|air", default="-1000", show_default=True, callback=_fill,
              help="What takes the place of equipment: HU, or the air that the scan itself shows.")  # fmt: skip
@click.option("--cleaned", "cleaned_as", type=click.Choice(["nrrd", "nifti", "dicom"]), default="nrrd",
              show_default=True, help="Format of the scan without equipment; dicom is a new series of the same study "
              "and needs DICOM scans.")  # fmt: skip
@talkative
def _remove(
    scans: tuple[Path, ...], out: Path, jobs: int, scheduler: str | None, method: str, fill: float | str,
    cleaned_as: str,
) -> int:  # fmt: skip
    """Take headrest, table and other equipment out of each SCAN; every other voxel stays as it is.

    A SCAN is a folder with DICOM files (also a tree of many series: every CT series in it is taken), a zip of DICOM
    files, a DICOM file, or a volume file (NIfTI, NRRD, MetaImage).

    For each scan a folder is written: equipment.seg.nrrd (for 3D Slicer), equipment.nii.gz (1 patient, 2 headrest,
    3 table, 4 other equipment), the scan without equipment (cleaned.nrrd, cleaned.nii.gz, or the folder cleaned with
    a DICOM series), picture.png and report.json. summary.csv lists all. Start the same command again after a stop:
    what is finished is kept. Look at the picture, above all where a warning says that the head may be touched.

    Research use only, not a medical device. Nothing is sent anywhere. Reports, names of files and messages hold no
    patient's name or ID; a DICOM series is for the same study and keeps its patient.

    \b
    Examples:
      ct-headrest head.nii.gz --out cleaned
      ct-headrest /data/study_1 --out cleaned --cleaned dicom
      ct-headrest /data --out cleaned --fill air --jobs 4
    """  # noqa: D301
    from CTVolumeLib import batch
    from CTVolumeLib.scans import find_items

    from . import resultfiles

    settings = resultfiles.settings_of(method, fill, cleaned_as)
    with Bar("Looking for scans", "file") as progress:
        items = find_items(scans, settings, say=say, progress=progress)
    with Bar("Removing equipment", "scan") as progress:
        outcomes = batch.run(items, resultfiles.clean_item, out, jobs=jobs, scheduler=scheduler, progress=progress)
    click.echo(table(outcomes, _COLUMNS))
    say(f"The results are in {out}.")
    return exit_code(outcomes)


if __name__ == "__main__":
    sys.exit(main())
