"""The commands of ``ct-localize`` that make training data: from DICOM files and labels to data sets.

Heavy packages are imported inside functions, so that ``--help`` is quick.
"""

from __future__ import annotations

from pathlib import Path

import click

from .cli_common import DONE, NOTHING_USABLE, SOME_FAILED, Bar, scan_path, talkative


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


COMMANDS: tuple[click.Command, ...] = (label_masks,)
"""All commands of this file, in the order of their use."""
