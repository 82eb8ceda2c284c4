"""What the section Train does: the steps from DICOM files to a model, as commands in a folder of their own.

A training folder holds ``tree/`` (organized files, labelled in the section Annotate), the ground truth file, ``data/``
(the data set), ``partition.json``, ``model.npz`` with its card, ``evaluation/`` and ``log.txt``.
"""

from __future__ import annotations

import importlib.metadata
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from slicer.i18n import tr as _

from .child_commands import ChildCommands, Command, ctLocalize, slicerPython

ORGANIZE, PREPARE, TRAIN, EVALUATE = "organize", "prepare", "train", "evaluate"
STEPS = (ORGANIZE, PREPARE, TRAIN, EVALUATE)

TREE, LOCATIONS, DATA, PARTITION = "tree", "combined_normalized_locations.json", "data", "partition.json"
MODEL, EVALUATION, LOG = "model", "evaluation", "log.txt"

DATA_NEEDS = {
    "click": "click>=8.1",
    "tqdm": "tqdm>=4.66",
    "joblib": "joblib>=1.3",
    "numpy": "numpy>=1.26",
    "scipy": "scipy>=1.12",
    "SimpleITK": "SimpleITK>=2.3",
    "pydicom": "pydicom>=3.0",
}
"""Requirement of each package that all steps need."""

TRAINING_NEEDS = {"tensorflow": "tensorflow>=2.18", "keras": "keras>=3"}
ALL_NEEDS = DATA_NEEDS | TRAINING_NEEDS

_SOME_FAILED = 1
_SLICERS_OWN = ("numpy", "scipy", "SimpleITK", "pydicom", "requests", "Pillow")


def start(
    step: str,
    folder: Path | str,
    *,
    source: Path | str = "",
    labels: Path | str = "",
    epochs: int = 0,
    python: str = "",
) -> ChildCommands:
    """Start a step; the caller polls what comes back.

    Args:
        step: one of ``STEPS``.
        folder: the training folder.
        source: folder or zip with DICOM files, for ``organize``.
        labels: folder for labels, for ``prepare``; empty for beside the slices.
        epochs: at most so many, for ``train``; 0 for the command's own number.
        python: interpreter; empty for Slicer's own.

    Raises:
        CTError: something that the step needs is not there; the text says what to do before.
    """
    folder = Path(folder)
    commands = _commands(step, folder, source, labels, epochs, _interpreter(python))
    try:
        return ChildCommands(commands, folder / LOG)
    except OSError as error:
        raise _error("cannot_write", _("The training folder can't be written."), error.strerror or "") from error


def check(python: str = "", logFile: Path | str = "") -> ChildCommands:
    """Start looking what a Python lacks: ``missing`` and ``pythonVersion`` tell it in the end.

    Raises:
        CTError: there is no such Python.
    """
    command = ctLocalize(_interpreter(python), _("Checking Python"), (), tuple(ALL_NEEDS))
    return ChildCommands([command], logFile or _temporaryLog())


def install(missing: Sequence[str], python: str = "", logFile: Path | str = "") -> ChildCommands:
    """Start installing packages into a Python by pip; in Slicer's own nothing that Slicer has is changed.

    Args:
        missing: as ``check`` has told them.
        python: interpreter; empty for Slicer's own.
        logFile: what pip says.

    Raises:
        CTError: there is no such Python.
    """
    interpreter, logFile = _interpreter(python), Path(logFile or _temporaryLog())
    arguments = [interpreter, "-m", "pip", "install", "--disable-pip-version-check", "--prefer-binary"]
    if not python:
        constraints = logFile.with_name("constraints.txt")
        constraints.write_text("\n".join(_pinned()) + "\n", encoding="utf-8")
        arguments += ["--constraint", str(constraints)]
    wanted = [ALL_NEEDS[name] for name in missing if name in ALL_NEEDS]
    return ChildCommands([Command(_("Installing"), (*arguments, *wanted))], logFile)


def trainedModel(folder: Path | str) -> Path | None:
    """The model that a training folder holds."""
    path = Path(folder) / f"{MODEL}.npz"
    return path if str(folder) and path.is_file() else None


def evaluationPage(folder: Path | str) -> Path | None:
    """The page about the model that a training folder holds."""
    path = Path(folder) / EVALUATION / "evaluation.html"
    return path if str(folder) and path.is_file() else None


def emptyParts(folder: Path | str) -> list[str]:
    """Parts of the data without which nothing can be trained, and which hold no series: too few patients."""
    from CTSliceLocalizerLib import partition

    made = partition.read(Path(folder) / PARTITION)
    return [part for part in (partition.TRAIN, partition.VALIDATION) if not made.series(part)]


def _commands(
    step: str, folder: Path, source: Path | str, labels: Path | str, epochs: int, python: str
) -> list[Command]:
    tree, locations, data, partition = (folder / name for name in (TREE, LOCATIONS, DATA, PARTITION))
    model = folder / MODEL

    def command(title: str, *arguments: str | Path, needs: Sequence[str] = (), partly: bool = False) -> Command:
        return ctLocalize(python, title, arguments, (*DATA_NEEDS, *needs), (_SOME_FAILED,) if partly else ())

    if step == ORGANIZE:
        _need(Path(source) if str(source) else None, _("Choose the folder with the DICOM files."))
        return [command(_("Organizing"), "organize", source, "--out", tree)]
    if step == PREPARE:
        _need(tree, _("Organize the DICOM files first, and label them in the section Annotate."))
        own = ("--labels", labels) if str(labels) else ()
        return [
            command(_("Checking labels"), "normalize", tree, *own, "--out", locations, partly=True),
            command(_("Converting"), "convert", tree, *own, "--locations", locations, "--out", data, partly=True),
            command(_("Dividing"), "partition", data, "--out", partition),
        ]
    _need(partition, _("Prepare the data first."))
    if step == TRAIN:
        most = ("--epochs", str(epochs)) if epochs else ()
        arguments = ("train", data, "--partition", partition, "--out", model, *most)
        return [command(_("Training"), *arguments, needs=tuple(TRAINING_NEEDS))]
    if step == EVALUATE:
        _need(trainedModel(folder), _("Train a model first."))
        arguments = (f"{model}.npz", data, "--partition", partition, "--out", folder / EVALUATION)
        return [command(_("Evaluating"), "evaluate", *arguments)]
    raise ValueError(step)


def _need(path: Path | None, hint: str) -> None:
    if path is None or not path.exists():
        raise _error("not_ready", hint)


def _interpreter(python: str) -> str:
    found = python or slicerPython()
    if not found or not (Path(found).is_file() or shutil.which(found)):
        raise _error("no_python", _("There is no such Python."), _("Choose its interpreter, such as bin/python."))
    return found


def _pinned() -> list[str]:
    """Slicer's own packages as they are."""
    pinned = []
    for name in _SLICERS_OWN:
        try:
            pinned.append(f"{name}=={importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return pinned


def _temporaryLog() -> Path:
    import slicer

    return Path(slicer.app.temporaryPath) / f"CTSliceLocalizer-python-{sys.version_info.minor}" / LOG


def _error(code: str, message: str, hint: str = "") -> Exception:
    from CTVolumeLib.errors import CTError

    return CTError(code, message, hint)
