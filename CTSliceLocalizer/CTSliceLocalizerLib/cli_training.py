"""The commands of ``ct-localize`` that make and judge a model of one's own.

Heavy packages are imported inside functions, so that ``--help`` is quick.
"""

from __future__ import annotations

from pathlib import Path

import click

from .cli_common import DONE, SOME_FAILED, Bar, engine_option, out_option, say, scan_path, talkative


@click.command()
@click.argument("model", type=scan_path)
@click.argument("data", type=scan_path)
@click.option("--partition", type=scan_path, help="From ct-localize partition; without it all of the data is used.")
@click.option("--part", default="test", show_default=True, help="Which part of the partition.")
@out_option
@engine_option
@talkative
def evaluate(model: Path, data: Path, partition: Path | None, part: str, out: Path, engine: str) -> int:
    """Say how far off a MODEL is on annotated DATA.

    MODEL is the .npz file of an exported model, or the folder of a training run. DATA is a data set of
    ct-localize convert, or a folder with scans.csv, landmarks.csv and vol/.

    Writes evaluation.html (open it in a browser) and evaluation.json: distances by landmark and by part of the body
    with 95 % intervals by patient, location against z, the worst with pictures, and what the model's sigma is worth.

    \b
    Example:
      ct-localize evaluate models/mine.npz store --partition partition.json --out evaluation
    """  # noqa: D301
    from . import evaluation_run

    with Bar("Evaluating", "scan") as progress:
        done = evaluation_run.evaluate(
            model, data, out, partition_file=partition, part=part, engine=engine, progress=progress
        )
    click.echo(done.summary)
    for text in done.alerts:
        say(f"Note: {text}")
    say(f"Open in a browser: {out / evaluation_run.PAGE}")
    return DONE if not done.refused else SOME_FAILED


COMMANDS: tuple[click.Command, ...] = (evaluate,)
"""All commands of this file, in the order of their use."""
