"""The command ``ct-localize``: locate | match | phantom.

Heavy packages are imported inside functions, so that ``--help`` is quick.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from CTVolumeLib.commands import (
    CONTEXT,
    DONE,
    SOME_FAILED,
    Bar,
    exit_code,
    jobs_option,
    out_option,
    run,
    say,
    scan_path,
    scans_argument,
    scheduler_option,
    table,
    talkative,
)

from . import cli_data, cli_training
from .cli_common import engine_option, model_option

if TYPE_CHECKING:
    from .matching import Match, Pair

_WRONG_CALLS = {"outside_baseline", "wrong_call"}
_PROGRAM = "ct-localize"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: its arguments; None takes those of the process.

    Returns:
        The exit code.
    """
    return run(_cli, argv, _PROGRAM, _WRONG_CALLS)


@click.group(context_settings=CONTEXT)
@click.version_option(None, "--version", package_name="CTSliceLocalizer", prog_name=_PROGRAM)
@talkative
def _cli() -> None:
    """Say where in the body each slice of a CT scan lies, and where it lies in a follow-up.

    Research use only, not a medical device. Nothing is sent anywhere; results hold no patient's name or ID.

    \b
    Examples:
      ct-localize locate scan_folder --out results
      ct-localize match scan_2023 scan_2024 --out results --at -120.5
      ct-localize phantom --out phantom --followup
    """  # noqa: D301


@_cli.command()
@scans_argument
@out_option
@jobs_option
@scheduler_option
@engine_option
@model_option
@click.option("--report/--no-report", default=True, show_default=True, help="Write report.html with pictures.")
@talkative
def locate(
    scans: tuple[Path, ...], out: Path, jobs: int, scheduler: str | None, engine: str, model: Path | None, report: bool
) -> int:
    """Say for every slice of each SCAN where in the body it lies.

    A SCAN is a folder with DICOM files (also a tree of many series: every CT series in it is located), a zip of DICOM
    files, a DICOM file, or a volume file (NIfTI, NRRD, MetaImage).

    For each scan a folder is written: location.json, slices.csv, landmarks.mrk.json (for 3D Slicer) and report.html
    (open it in a browser). summary.csv lists all. Start the same command again after a stop: what is finished is kept.

    \b
    Examples:
      ct-localize locate chest.nii.gz --out results
      ct-localize locate /data/study_1 /data/more.zip --out results --jobs 4
    """  # noqa: D301
    from CTVolumeLib import batch
    from CTVolumeLib.scans import find_items

    from . import scanfiles
    from .predictor import load_model, model_file

    path = model_file(model) if model else None
    settings = {"model": load_model(path, engine=engine).sha256, "engine": engine, "report": report}
    if path:
        settings["model_file"] = str(path.resolve())
    with Bar("Looking for scans", "file") as progress:
        items = find_items(scans, settings, say=say, progress=progress)
    with Bar("Locating", "scan") as progress:
        outcomes = batch.run(items, scanfiles.locate_item, out, jobs=jobs, scheduler=scheduler, progress=progress)
    click.echo(table(outcomes, ("slices", "covers", "flags")))
    say(f"The results are in {out}.")
    return exit_code(outcomes)


@_cli.command()
@click.argument("baseline", type=scan_path)
@click.argument("followup", type=scan_path)
@out_option
@click.option("--at", "heights", metavar="Z_MM", type=float, multiple=True, help="Only this height of the baseline, "
              "LPS z in mm; may be given several times.")  # fmt: skip
@click.option("--refine/--no-refine", default=True, show_default=True, help="Compare the images, too.")
@engine_option
@model_option
@click.option("--report/--no-report", default=True, show_default=True, help="Write the reports with pictures.")
@talkative
def match(
    baseline: Path, followup: Path, out: Path, heights: tuple[float, ...], refine: bool, engine: str,
    model: Path | None, report: bool,
) -> int:  # fmt: skip
    """Say where each slice of BASELINE lies in FOLLOWUP, a later scan of the same patient.

    The scans need no common frame of reference and no registration. Both are SCANs as for locate; of a folder with
    several series the largest CT series is taken.

    Writes match.json, report.html (both scans side by side, scrolled together) and the locations of both scans in
    baseline/ and followup/.

    It is meant for one patient: between two patients the same vertebra is not the same organ slice (2-3 cm apart).
    A different breath moves the base of the lungs.

    \b
    Examples:
      ct-localize match scan_2023 scan_2024 --out results
      ct-localize match a.nii.gz b.nii.gz --out results --at -120.5 --at -80
    """  # noqa: D301
    from . import scanfiles
    from .predictor import load_model, model_file

    found = scanfiles.match_paths(
        baseline, followup, out, heights=heights, refine=refine, engine=engine,
        model=load_model(model_file(model), engine=engine) if model else None, with_report=report,
    )  # fmt: skip
    for side, location in zip(("baseline", "followup"), found.locations):
        for flag in location.flags:
            say(f"{side}: {flag.text}")
    for flag in (*found.match.flags, found.match.refused):
        if flag:
            say(flag.text)
    if heights:
        for pair in found.at.pairs:
            click.echo(describe_pair(pair))
    say(f"{_covered(found.match)}The results are in {out}.")
    return SOME_FAILED if found.match.refused else DONE


@_cli.command()
@out_option
@click.option("--followup", is_flag=True, help="Also write a follow-up of the same patient, differently placed.")
@click.option("--from", "upper", type=float, default=0.12, show_default=True, help="Location of the highest slice "
              "(0 top of head .. 0.5 femoral head).")  # fmt: skip
@click.option("--to", "lower", type=float, default=0.36, show_default=True, help="Location of the lowest slice.")
@click.option("--pixel", type=float, default=2.0, show_default=True, help="Size of a pixel in mm.")
@click.option("--slice", "step", type=float, default=5.0, show_default=True, help="Distance of the slices in mm.")
@click.option("--size", type=float, default=1.0, show_default=True, help="Stature; 1 is 1.71 m.")
@click.option("--breathing", type=float, default=0.5, show_default=True, help="0 breathed out .. 1 breathed in.")
@click.option("--arms", type=click.Choice(["up", "down", "none"]), default="none", show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="Another number is another person.")
@click.option("--variation", type=float, default=0.0, show_default=True, help="How much people's proportions differ, "
              "0 to 0.15.")  # fmt: skip
@click.option("--masks", is_flag=True, help="Also write segmentations, for label-masks.")
@talkative
def phantom(
    out: Path, followup: bool, upper: float, lower: float, pixel: float, step: float, size: float, breathing: float,
    arms: str, seed: int, variation: float, masks: bool,
) -> int:  # fmt: skip
    """Write a digital patient as a DICOM series, with the truth about it.

    For trying things out and for tests: it is made of simple shapes, so nothing about accuracy follows from it.
    Writes the series into phantom/ (and phantom_followup/, masks/), and truth.json with the LPS z of the landmarks
    and, for a follow-up, where each baseline slice lies in it.

    \b
    Example:
      ct-localize phantom --out p --followup
      ct-localize match p/phantom p/phantom_followup --out results
    """  # noqa: D301
    from .phantoms import write

    write(
        out, followup=followup, coverage=(upper, lower), spacing=(pixel, pixel, step), size=size, breathing=breathing,
        arms=arms, seed=seed, variation=variation, masks=masks,
    )  # fmt: skip
    say(f"The phantom is in {out}.")
    return DONE


def describe_pair(pair: Pair) -> str:
    """One pair in a line, such as ``z 123.0 mm -> 45.6 mm +- 3.2 mm (slice 57)``."""
    if not pair.covered:
        return f"z {pair.baseline_z_mm:.1f} mm -> not covered by the follow-up"
    return (
        f"z {pair.baseline_z_mm:.1f} mm -> {pair.followup_z_mm:.1f} mm +- {pair.sigma_mm:.1f} mm "
        f"(slice {pair.followup_index})"
    )


def _covered(found: Match) -> str:
    if found.refused or not found.pairs:
        return ""
    covered = sum(pair.covered for pair in found.pairs)
    registered = sum(pair.covered and pair.method == "registered" for pair in found.pairs)
    return (
        f"{covered} of {len(found.pairs)} baseline slices lie in the follow-up, {registered} confirmed by the images. "
    )


for _command in (*cli_data.COMMANDS, *cli_training.COMMANDS):
    _cli.add_command(_command)


if __name__ == "__main__":
    sys.exit(main())
