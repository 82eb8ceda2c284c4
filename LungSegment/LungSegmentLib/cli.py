"""The command ``ct-lungs``. Heavy packages are imported inside functions, so that ``--help`` is quick."""

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

_PROGRAM = "ct-lungs"
_COLUMNS = ("slices", "left_ml", "right_ml", "mean_hu", "light", "warnings")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: its arguments; None takes those of the process.

    Returns:
        The exit code, see ``CTVolumeLib.commands``.
    """
    return run(_segment, argv, _PROGRAM, {"bad_option", "wrong_call"})


@click.command(context_settings=CONTEXT)
@click.version_option(None, "--version", package_name="CTSliceLocalizer", prog_name=_PROGRAM)
@scans_argument
@out_option
@jobs_option
@scheduler_option
@click.option("--threshold", type=float, default=-320.0, show_default=True, help="HU; what is darker is air or lung.")
@click.option(
    "--where",
    type=click.Choice(["auto", "everywhere"]),
    default="auto",
    show_default=True,
    help="Where to look: auto leaves out what the slice locations say is no chest, where they can be had.",
)
@click.option("--preprocess", "prepared_as", type=click.Choice(["npz", "nifti", "nrrd"]), help="Also write the scan "
              "prepared for networks: prepared.npz, .nii.gz or .nrrd.")  # fmt: skip
@click.option("--spacing", type=float, default=1.0, show_default=True, help="Of the prepared scan, in mm; 0 keeps the "
              "scan's own.")  # fmt: skip
@click.option("--margin", type=float, default=10.0, show_default=True, help="Crop the prepared scan to the lungs with "
              "this margin in mm.")  # fmt: skip
@click.option("--crop/--no-crop", default=True, show_default=True, help="Or keep the whole scan.")
@click.option("--values", type=click.Choice(["centered", "normalized", "hu"]), default="centered", show_default=True,
              help="Values of the prepared scan: -1000..400 HU as 0..1 less 0.25, as 0..1, or HU.")  # fmt: skip
@talkative
def _segment(
    scans: tuple[Path, ...], out: Path, jobs: int, scheduler: str | None, threshold: float, where: str,
    prepared_as: str | None, spacing: float, margin: float, crop: bool, values: str,
) -> int:  # fmt: skip
    """Find the lungs in each SCAN: left, right, trachea and main bronchi; measure them, and say whether to trust it.

    A SCAN is a folder with DICOM files (also a tree of many series: every CT series in it is taken), a zip of DICOM
    files, a DICOM file, or a volume file (NIfTI, NRRD, MetaImage).

    For each scan a folder is written: lungs.seg.nrrd (for 3D Slicer), lungs.nii.gz (1 left, 2 right, 3 airways),
    measures.csv, histogram.csv, picture.png and result.json. summary.csv lists all. Start the same command again after
    a stop: what is finished is kept. Look at the picture where the light is not green.

    Research use only, not a medical device. Nothing is sent anywhere; results hold no patient's name or ID.

    \b
    Examples:
      ct-lungs chest.nii.gz --out lungs
      ct-lungs /data/study_1 /data/more.zip --out lungs --jobs 4
      ct-lungs chest.nii.gz --out lungs --preprocess npz --spacing 1.5 --margin 20
    """  # noqa: D301
    from CTVolumeLib import batch
    from CTVolumeLib.scans import find_items

    from . import resultfiles
    from .lungs import LungOptions
    from .preprocess import PreprocessOptions

    prepare = None
    if prepared_as is not None:
        if not (0 <= spacing <= 50 and 0 <= margin <= 500):
            raise click.UsageError("--spacing is 0 to 50 mm, --margin 0 to 500 mm.")
        prepare = PreprocessOptions(
            margin if crop else None, spacing or None, normalize=values != "hu", zero_center=values == "centered"
        )
    settings = resultfiles.settings_of(LungOptions(threshold_hu=threshold), prepare, prepared_as or "npz", where)
    with Bar("Looking for scans", "file") as progress:
        items = find_items(scans, settings, say=say, progress=progress)
    with Bar("Finding lungs", "scan") as progress:
        outcomes = batch.run(items, resultfiles.segment_item, out, jobs=jobs, scheduler=scheduler, progress=progress)
    click.echo(table(outcomes, _COLUMNS))
    say(f"The results are in {out}.")
    return exit_code(outcomes)


if __name__ == "__main__":
    sys.exit(main())
