"""A trained classifier on disk: weights, and a card that says what goes in, from where on it is a finding, and more.

``MODEL.npz`` holds the weights, as ``network_checkpoints.save_weights`` writes them, ``MODEL.json`` the card with their
SHA-256.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
from CTVolumeLib import network_checkpoints as checkpoints
from CTVolumeLib.errors import CTError
from CTVolumeLib.files import write_atomic

from . import networks
from .inputs import InputOptions

SCHEMA = "ct-classifier/1"
PURPOSE = "Whether a scan shows the finding it was trained on. Research use only, not a medical device."


@dataclass(frozen=True, eq=False)
class Classifier:
    """A network with what is needed to use it.

    Attributes:
        network: gives the probability of inputs.
        options: how a scan becomes an input.
        threshold: from this probability on it is a finding.
        card: all that is known of it.
    """

    network: keras.Model
    options: InputOptions
    threshold: float
    card: Mapping[str, Any]


def save(stem: Path, network: keras.Model, options: InputOptions, threshold: float, about: Mapping[str, Any]) -> None:
    """Write a model; its name in ``networks`` is that of the network.

    Args:
        stem: folder and name of the files, without an ending.
        network: trained.
        options: how scans become inputs.
        threshold: from this probability on it is a finding.
        about: further entries of the card.

    Raises:
        CTError: the files can't be written.
    """
    weights = stem.with_name(f"{stem.name}.npz")
    checkpoints.save_weights(network, weights)
    card = {
        "schema": SCHEMA,
        "purpose": PURPOSE,
        "network": network.name,
        "inputs": asdict(options),
        "threshold": threshold,
        **about,
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
    }
    write_atomic(stem.with_name(f"{stem.name}.json"), json.dumps(card, indent=1) + "\n")


def stem_of(path: Path) -> Path:
    """Folder and name of a model's files without their endings, from any of its files or that name."""
    return path.with_suffix("") if path.suffix in (".npz", ".json") else path


def load(path: Path) -> Classifier:
    """Read a model.

    Args:
        path: of one of its files, or their name without an ending.

    Raises:
        CTError: ``bad_model``: missing, damaged, or not of this kind.
    """
    stem = stem_of(path)
    weights, card_file = (stem.with_name(stem.name + ending) for ending in (".npz", ".json"))
    try:
        card = json.loads(card_file.read_text(encoding="utf-8"))
        if card["schema"] != SCHEMA:
            raise ValueError(card["schema"])
        options = InputOptions(**{**card["inputs"], "shape": tuple(card["inputs"]["shape"])})
        if hashlib.sha256(weights.read_bytes()).hexdigest() != card["sha256"]:
            raise CTError("bad_model", f"{weights.name} is not the file that {card_file.name} describes.", _HINT)
        network = networks.build(card["network"], options.shape)
        threshold = float(card["threshold"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CTError("bad_model", f"{stem.name} is no model of ct-classify, or a damaged one.", _HINT) from error
    checkpoints.load_weights(network, weights)
    return Classifier(network, options, threshold, card)


_HINT = "Name the .npz file that ct-classify train wrote; its .json belongs beside it."
