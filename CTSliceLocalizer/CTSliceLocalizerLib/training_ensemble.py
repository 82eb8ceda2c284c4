"""The shipped model: the networks of all folds of a cross-validation, side by side in one file.

Every patient is unknown to the member whose fold he was in, so each figure of accuracy is of a member that never saw
the patient, and all of them together are what is shipped.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
from CTVolumeLib import network_checkpoints as checkpoints
from CTVolumeLib import network_export as export
from CTVolumeLib.errors import CTError

from . import members, training
from .slicegrid import SIZE

OUTPUTS = ("features", "raw", "orientation")


def publish(work: Path, stem: Path, about: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Write the model that is made of all folds of a cross-validation.

    Args:
        work: its folder, with ``run.json`` and a folder of a training run for each fold.
        stem: folder and name of the model's files, without an ending.
        about: more for the card.

    Returns:
        The card as written.

    Raises:
        CTError: a fold is missing or not finished, or the folder holds something else.
    """
    folds = checkpoints.read_run(work)["folds"]
    networks, entries, scans, patients = [], [], set(), set()
    for fold in folds:
        run = checkpoints.read_run(work / fold["name"])
        parts, finished = training.trained(work / fold["name"])
        if not finished:
            text = f"The training in {work.name}/{fold['name']} is not finished."
            raise CTError("not_finished", text, "Let the cross-validation go on to its end first.")
        networks.append(parts)
        scans.update(run["train"])
        patients.update(fold["train"])
        entries.append(
            {
                "name": fold["name"],
                "held_out": sorted(fold["test"]),
                "trained_on": {"scans": len(run["train"]), "patients": run["patients"]},
                "training": {**checkpoints.record(work / fold["name"]), "settings": run["settings"]},
            }
        )
    card = {
        **training.ABOUT,
        "trained_on": {"scans": len(scans), "patients": len(patients), "families": _families(scans)},
        "members": entries,
        "unseen": "Each figure of accuracy is of the member that never saw the patient. Used is the mean of all.",
        **(about or {}),
    }
    return export.export(joined(networks), stem, card, half=True)


def joined(networks: Sequence[Mapping[str, keras.Model]]) -> dict[str, keras.Model]:
    """The parts of one model, as ``members`` reads them.

    Args:
        networks: of each member by part, at least two members; they are renamed.
    """
    picture = keras.Input((SIZE, SIZE, 1), name="hu_per_1000")
    parts, single = {}, []
    for number, member in enumerate(networks, start=1):
        for name, network in member.items():
            network.name = f"{name}{number}"
            if name != members.ENCODER:
                parts[network.name] = network
        single.append(member[members.ENCODER](picture))
    outputs = {name: keras.layers.Concatenate(name=name)([one[name] for one in single]) for name in OUTPUTS}
    return {members.ENCODER: keras.Model(picture, outputs, name=members.ENCODER), **parts}


def _families(scans: Collection[str]) -> dict[str, int]:
    planning = sum(name.startswith("hn") for name in scans)
    return {"head and neck": planning, "other": len(scans) - planning}
