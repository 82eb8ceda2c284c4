"""Options that the commands of ``ct-classify`` share, and what the library makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from CTVolumeLib.commands import jobs_option
from CTVolumeLib.errors import CTError

if TYPE_CHECKING:
    from CTVolumeLib.network_fitting import Machine

    from .inputs import InputOptions
    from .table import LabelledScan
    from .training import Settings

table_argument = click.argument(
    "scans_csv", metavar="SCANS.csv", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)


def input_options(command: Callable) -> Callable:
    """Options of what the network sees."""
    for option in reversed((
        click.option("--part", type=click.Choice(["whole", "centre", "body", "lung", "lungs"]), default="lungs",
                     show_default=True, help="What is looked at: the whole scan, --slices about its centre or about "
                     "the slice with the largest area of body or of lung, or the box of the lungs."),
        click.option("--slices", type=click.IntRange(1), default=64, show_default=True, help="For --part centre, body, "
                     "lung."),
        click.option("--margin", "margin_mm", type=float, default=5.0, show_default=True, help="About the lungs, mm."),
        click.option("--values", type=click.Choice(["ct", "mr"]), default="ct", show_default=True, help="ct: -1000 to "
                     "400 HU; mr: percentiles 1 to 99."),
        click.option("--size", type=int, nargs=3, default=(128, 128, 64), show_default=True, help="Voxels of the "
                     "network's input: width, height, slices."),
        click.option("--zoom", type=click.Choice(["linear", "spline"]), default="linear", show_default=True),
    )):  # fmt: skip
        command = option(command)
    return command


def training_options(command: Callable) -> Callable:
    """Options of the training."""
    for option in reversed((
        click.option("--network", type=click.Choice(["small", "example", "resnet10"]), default="small",
                     show_default=True, help="127, 1.4 million or 14 million parameters."),
        click.option("--epochs", type=click.IntRange(1), default=60, show_default=True, help="At most."),
        click.option("--batch-size", "batch", type=click.IntRange(1), default=8, show_default=True),
        click.option("--patience", type=click.IntRange(1), default=20, show_default=True, help="Epochs without better "
                     "validation that end the training."),
        click.option("--learning-rate", type=float, default=1e-2, show_default=True),
        click.option("--schedule", type=click.Choice(["exponential", "steps"]), default="exponential",
                     show_default=True, help="How the learning rate falls."),
        click.option("--augmentation", type=click.Choice(["none", "rotation", "own"]), default="own", show_default=True,
                     help="rotation: up to 20 degrees; own: 10 degrees, shifts, left and right swapped."),
        click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Another number is another "
                     "run."),
        click.option("--mixed-precision", is_flag=True, help="16 bits where they suffice: faster on a GPU."),
        click.option("--distribute", is_flag=True, help="Share each batch among all GPUs of this machine."),
        jobs_option,
    )):  # fmt: skip
        command = option(command)
    return command


def plan_options(command: Callable) -> Callable:
    """Options of how it is measured."""
    for option in reversed((
        click.option("--folds", type=click.IntRange(3, 20), default=5, show_default=True),
        click.option("--repetitions", type=click.IntRange(1, 50), default=2, show_default=True, help="With other folds "
                     "and seeds."),
    )):  # fmt: skip
        command = option(command)
    return command


def read_table(path: Path) -> list[LabelledScan]:
    """The labelled scans.

    Raises:
        CTError: ``bad_table``.
    """
    from . import table

    return table.read(path)


def inputs_of(options: Mapping[str, Any]) -> InputOptions:
    """How scans become inputs."""
    from .inputs import InputOptions, shape_of

    names = ("part", "slices", "margin_mm", "values", "zoom")
    return InputOptions(**{name: options[name] for name in names}, shape=shape_of(options["size"]))


def settings_of(options: Mapping[str, Any]) -> Settings:
    """How a network is trained; loads TensorFlow."""
    from .training import Settings

    names = ("network", "epochs", "batch", "patience", "learning_rate", "schedule", "augmentation", "seed")
    return Settings(**{name: options[name] for name in names})


def machine_of(options: Mapping[str, Any]) -> Machine:
    """What training runs on; loads TensorFlow."""
    from CTVolumeLib.network_fitting import Machine

    return Machine(options["mixed_precision"], options["distribute"])


def changes(text: str, options: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Names and changed options of ``network=example,resnet10``.

    Raises:
        CTError: ``wrong_call``.
    """
    name, _, values = text.partition("=")
    key = {"margin": "margin_mm", "batch-size": "batch"}.get(name, name.replace("-", "_"))
    fixed = {"size", "seed", "jobs", "mixed_precision", "distribute"}
    if key not in options or key in fixed or not values:
        known = ", ".join(sorted(set(options) - fixed))
        raise CTError(
            "wrong_call", f"--vary {text} can't be understood.", f"Write OPTION=VALUE,... with one of {known}."
        )
    try:
        return [(f"{name} {value}", {key: type(options[key])(value)}) for value in values.split(",")]
    except ValueError as error:
        raise CTError("wrong_call", f"--vary {text} needs numbers.", "Write for example epochs=20,40.") from error
