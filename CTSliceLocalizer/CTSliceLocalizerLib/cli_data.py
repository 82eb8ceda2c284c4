"""The commands of ``ct-localize`` that make training data: from DICOM files and labels to data sets.

Heavy packages are imported inside functions, so that ``--help`` is quick.
"""

from __future__ import annotations

from pathlib import Path

import click
from CTVolumeLib.commands import DONE, NOTHING_USABLE, SOME_FAILED, Bar, out_option, say, scan_path, talkative


@click.command()
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True, type=scan_path)
@out_option
@click.option("--mode", type=click.Choice(["copy", "move", "link"]), default="copy", show_default=True,
              help="link makes hard links: no space is needed, and both names are one file.")  # fmt: skip
@click.option("--hash-ids", "key_file", metavar="KEYFILE", type=click.Path(dir_okay=False, path_type=Path),
              help="Call folders of patients by a keyed hash of their ID. KEYFILE is made where it is missing; keep it "
              "apart from the data: who has it can find out the IDs.")  # fmt: skip
@talkative
def organize(sources: tuple[Path, ...], out: Path, mode: str, key_file: Path | None) -> int:
    """Sort DICOM files by patient, study and series.

    A SOURCE is a folder with all below it, a zip or a file. Each file becomes
    OUT/PatientID/StudyInstanceUID/SeriesInstanceUID/InstanceNumber.dcm. Nothing is ever overwritten: where two
    different files would have the same name, the second gets a part of its checksum into it.

    organize.csv tells what was done with each file. Patients' names are left out of it, but the DICOM files keep what
    is in their headers. Files whose names start with a dot are not looked at.

    \b
    Examples:
      ct-localize organize /data/export /data/more.zip --out tree
      ct-localize organize /data/export --out tree --mode link --hash-ids ~/ids.key
    """  # noqa: D301
    from CTVolumeLib.errors import CTError

    from . import organizer, placing

    if key_file and out.absolute() in key_file.absolute().parents:
        raise CTError("wrong_call", f"{key_file.name} lies among the data.", "Keep the key in another folder.")
    key = organizer.read_key(key_file) if key_file else None
    with Bar("Organizing", "step") as progress:
        result = organizer.organize(sources, out, mode=mode, key=key, progress=progress)
    for name, reason in result.failed:
        click.echo(f"{name}: {reason}")
    order = (placing.COPIED, placing.MOVED, placing.LINKED, placing.THERE, placing.IN_PLACE, organizer.LEFT,
             organizer.FAILED)  # fmt: skip
    counts = ", ".join(f"{result.actions[action]} {action}" for action in order if result.actions.get(action))
    say(f"{counts or 'No files'}. {result.series} series of {result.patients} patients are in {out}.")
    say(f"What was done with each file is in {result.log.name}.")
    if not result.series:
        return NOTHING_USABLE
    return SOME_FAILED if result.failed else DONE


@click.command()
@click.argument("tree", type=scan_path)
@click.option("--labels", type=scan_path, help="Folder with the labels; by default they lie beside the slices.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True,
              help="The file, such as combined_normalized_locations.json.")  # fmt: skip
@talkative
def normalize(tree: Path, labels: Path | None, out: Path) -> int:
    """Turn the labels of the series in TREE into the location of each of their slices.

    Labels are labels.json beside the slices, or <name>/labels.json, <name>.labels.json or <name>.json in the folder of
    --labels, where the name is the SeriesInstanceUID or the name of the folder with the slices.

    Labels that contradict anatomy, name files that are not there or belong to another series are listed with file and
    line. Their series are left out, and the exit code is 1.

    \b
    Examples:
      ct-localize normalize tree --out combined_normalized_locations.json
      ct-localize normalize tree --labels labels --out combined_normalized_locations.json
    """  # noqa: D301
    from . import normalizing

    with Bar("Checking labels", "series") as progress:
        result = normalizing.normalize(tree, labels, progress)
    for problem in result.problems:
        click.echo(problem)
    if result.used:
        result.write(out)
        say(f"{len(result.locations)} slices of {len(result.used)} series have a location in {out.name}.")
    if result.left_out:
        say(f"{len(result.left_out)} series are left out, for the reasons above.")
    return NOTHING_USABLE if not result.used else SOME_FAILED if result.left_out else DONE


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
    "--size", type=click.IntRange(1, 1024), default=256, show_default=True, help="Pixels of a side (article)."
)
@click.option("--window", metavar="LOW HIGH", type=float, nargs=2, default=(-1000, 400), show_default=True,
              help="HU that become black and white (article).")  # fmt: skip
@click.option("--jobs", type=int, default=0, help="Processes on this machine; 0, the default, is one for each core.")
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
    from . import truths

    known = truths.find(tree, locations, labels)
    with Bar("Converting", "series") as progress:
        outcomes = converting.convert(
            tree, out, known, kind=kind, size=size, window=window, jobs=jobs, scheduler=scheduler, progress=progress
        )
    failed = [outcome for outcome in outcomes if outcome.state == batch.FAILED]
    partly = [outcome for outcome in outcomes if outcome.facts.get("missing")]
    for outcome in failed:
        click.echo(f"left out: {outcome.name}: {outcome.message} {outcome.hint}".rstrip())
    for outcome in partly:
        click.echo(f"incomplete: {outcome.name}: {outcome.facts['missing']} files that have a location are not there.")
    kept = sum(outcome.state == batch.KEPT for outcome in outcomes)
    slices = sum(outcome.facts.get("slices", 0) for outcome in outcomes)
    what = "slices" if kind == "article" else "pictures 4 mm apart"
    say(f"{len(outcomes) - len(failed)} series with {slices} {what} are in {out}, {kept} of them from an earlier run.")
    if len(failed) == len(outcomes):
        return NOTHING_USABLE
    return SOME_FAILED if failed or partly else DONE


@click.command()
@click.argument("data", type=scan_path)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True,
              help="The file, such as partition.json.")  # fmt: skip
@click.option("--by", type=click.Choice(["patient", "series"]), default="patient", show_default=True,
              help="What stays together; series is the article's rule, and may split a patient.")  # fmt: skip
@click.option("--salt", default="", help="Any text; another one is another draw.")
@talkative
def partition(data: Path, out: Path, by: str, salt: str) -> int:
    """Divide the series of DATA into parts: 70 % for training, 20 % for validation, 10 % for the test.

    DATA is a data set that convert has made, or a combined_normalized_locations.json. A hash decides, so a series or
    patient keeps its part when others are added. With few patients the shares are rough, and a part may be empty.

    \b
    Examples:
      ct-localize partition store --out partition.json
      ct-localize partition combined_normalized_locations.json --by series --out partition.json
    """  # noqa: D301
    from . import partition as parts

    made = parts.make(parts.patients_in(data), by=by, salt=salt)
    if not made.parts:
        say(f"{data.name} holds no series.")
        return NOTHING_USABLE
    made.write(out)
    for part in parts.PARTS:
        click.echo(f"{part}: {len(made.series(part))} series of {len(made.patients_of(part))} patients")
    empty = [part for part in parts.PARTS if not made.series(part)]
    if empty:
        say(f"Nothing fell into {' and '.join(empty)}. Add patients, or try another draw with --salt.")
    if made.shared_patients():
        say(f"{made.shared_patients()} patients are in several parts, so errors will look smaller than they are.")
    return DONE


COMMANDS: tuple[click.Command, ...] = (organize, label_masks, normalize, convert, partition)
"""All commands of this file, in the order of their use."""
