"""Options that several commands of ``ct-localize`` share; those of all the project's commands are in ``commands``."""

from __future__ import annotations

from pathlib import Path

import click

engine_option = click.option(
    "--engine",
    type=click.Choice(["auto", "numpy", "litert"]),
    default="auto",
    show_default=True,
    help="What runs the network: numpy is always there, LiteRT is faster where it is installed.",
)

model_option = click.option(
    "--model",
    type=click.Path(exists=True, path_type=Path),
    help="The .npz of a model of one's own (ct-localize train); by default the shipped one.",
)
