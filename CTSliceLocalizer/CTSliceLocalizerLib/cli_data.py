"""The commands of ``ct-localize`` that make training data: from DICOM files and labels to data sets.

Heavy packages are imported inside functions, so that ``--help`` is quick.
"""

from __future__ import annotations

from pathlib import Path

import click

from .cli_common import DONE, NOTHING_USABLE, SOME_FAILED, Bar, out_option, say, scan_path, talkative


@click.command("label-masks")
@click.argument("sources", metavar="SCANS...", nargs=-1, required=True, type=scan_path)
@click.option("--masks", type=scan_path, help="Folder with the masks of each series under its SeriesInstanceUID or the "
              "name of its folder; by default they lie beside the scan under the name segmentations.")  # fmt: skip
@click.option("--names", type=scan_path, help="Table of what the values of label maps stand for (JSON or CSV), where "
              "the files do not say it.")  # fmt: skip
@click.option("--table", type=click.Path(dir_okay=False, path_type=Path), help="Also write all landmarks as CSV.")
@click.option("--replace", is_flag=True, help="Change labels that are there already; by default they are kept.")
@talkative
def label_masks(
    sources: tuple[Path, ...], masks: Path | None, names: Path | None, table: Path | None, replace: bool
) -> int:
    """Make labels from segmentations, such as those of TotalSegmentator.

    SCANS are series, or trees of series or of volume files. The masks of a scan are a folder with one file for each
    structure, a label map (NIfTI, NRRD, MetaImage) with a table of names, or a .seg.nrrd of 3D Slicer.

    Writes labels.json beside each DICOM series. A structure that the scan cuts off gives no label, and landmarks that
    contradict each other are left out; both is said. Look at some of the labels before you train on them.

    \b
    Examples:
      ct-localize label-masks tree --masks masks
      ct-localize label-masks Totalsegmentator_dataset --table landmarks.csv
    """  # noqa: D301
    from CTVolumeLib.files import write_atomic

    from . import mask_labels

    scans, without = [], []
    for source in sources:
        with Bar("Looking for scans", "file") as progress:
            found, lacking = mask_labels.scans_in(source, masks, progress)
        scans += found
        without += lacking
    labelled = []
    with Bar("Labelling", "scan") as progress:
        for number, scan in enumerate(scans, start=1):
            labelled.append(mask_labels.label(scan, names=names, replace=replace))
            progress(number, len(scans), scan.name)
    for one in labelled:
        click.echo(mask_labels.describe(one))
    for name in without:
        click.echo(f"{name}: no masks found")
    if table:
        write_atomic(table, mask_labels.table(labelled))
    good = [one for one in labelled if one.problem is None and one.result.found]
    if not good:
        return NOTHING_USABLE
    return DONE if len(good) == len(scans) + len(without) else SOME_FAILED


@click.command()
@click.argument("tree", type=click.Path(exists=True, file_okay=False, path_type=Path))
@out_option
@click.option("--locations", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Ground truth file, "
              "combined_normalized_locations.json; only the series that it names are converted.")  # fmt: skip
@click.option("--labels", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Folder with the labels; "
              "by default each labels.json lies beside the slices.")  # fmt: skip
@click.option("--format", "kind", type=click.Choice(["compact", "article"]), default="compact", show_default=True,
              help="One file for each series on the networks' grid, or the article's .npz of each slice.")  # fmt: skip
@click.option(
    "--size", type=click.IntRange(1, 4096), default=256, show_default=True, help="Pixels of a side (article)."
)
@click.option("--window", metavar="LOW HIGH", type=float, nargs=2, default=(-1000, 400), show_default=True,
              help="HU that become black and white (article).")  # fmt: skip
@click.option("--jobs", type=int, default=0, help="Processes on this machine; by default one for each core.")
@click.option("--scheduler", metavar="ADDRESS", help="Work on a Dask cluster instead, such as tcp://host:8786.")
@talkative
def convert(
    tree: Path, out: Path, locations: Path | None, labels: Path | None, kind: str, size: int,
    window: tuple[float, float], jobs: int, scheduler: str | None,
) -> int:  # fmt: skip
    """Make training data of the labelled series in TREE.

    TREE is what organize leaves, PatientID/StudyInstanceUID/SeriesInstanceUID/InstanceNumber.dcm. What is true of a
    slice comes from the ground truth file, from the labels, or from both.

    Writes index.json and a folder for each series under series/. Series that can't be read or whose labels contradict
    themselves are listed and left out. Start the same command again after a stop: it goes on, and ends with the same
    bytes.

    \b
    Examples:
      ct-localize convert tree --locations combined_normalized_locations.json --out data
      ct-localize convert tree --out slices --format article --size 299
    """  # noqa: D301
    from CTVolumeLib import batch

    from . import convert as converting

    truths = converting.find(tree, locations, labels)
    with Bar("Converting", "series") as progress:
        outcomes = converting.convert(
            tree, out, truths, kind=kind, size=size, window=window, jobs=jobs, scheduler=scheduler, progress=progress
        )
    failed = [outcome for outcome in outcomes if outcome.state == batch.FAILED]
    partly = [outcome for outcome in outcomes if outcome.facts.get("missing")]
    for outcome in failed:
        click.echo(f"left out: {outcome.name}: {outcome.message} {outcome.hint}".rstrip())
    for outcome in partly:
        click.echo(f"incomplete: {outcome.name}: {outcome.facts['missing']} files that have a location are not there.")
    kept = sum(outcome.state == batch.KEPT for outcome in outcomes)
    slices = sum(outcome.facts.get("slices", 0) for outcome in outcomes)
    say(f"{len(outcomes) - len(failed)} series with {slices} slices are in {out}, {kept} of them from an earlier run.")
    if len(failed) == len(outcomes):
        return NOTHING_USABLE
    return SOME_FAILED if failed or partly else DONE


COMMANDS: tuple[click.Command, ...] = (label_masks, convert)
"""All commands of this file, in the order of their use."""
