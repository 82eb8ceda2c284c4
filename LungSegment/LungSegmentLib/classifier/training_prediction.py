"""Using a model on new scans, with Keras: the engine that needs nothing installed has no 3-D convolution."""

from __future__ import annotations

import functools
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from CTVolumeLib import scans
from CTVolumeLib.batch import Item
from CTVolumeLib.files import write_atomic
from CTVolumeLib.render import montage, to_png
from CTVolumeLib.volume import CTVolume, describe

from . import mr, network_model, prepared, training
from .inputs import Input
from .network_model import Classifier

SCHEMA = "ct-classification/1"
RESULT, PICTURE = "prediction.json", "picture.png"
_PICTURES = 12


def predict(volume: CTVolume, classifier: Classifier) -> tuple[float, Input]:
    """The probability of the finding.

    Args:
        volume: of the kind that the model was trained on.
        classifier: the model.

    Returns:
        The probability, and what the network saw.

    Raises:
        CTError: such as ``no_lungs`` where the model looks at lungs.
    """
    made, _ = prepared.make(volume, classifier.options, wanted=False)
    pictures = made.values.astype(np.float32)[None, ..., None]
    return float(training.score(classifier.network, pictures)[0]), made


def predict_item(item: Item, folder: Path) -> dict[str, Any]:
    """Write prediction.json and picture.png of a scan; for ``CTVolumeLib.batch``.

    Args:
        item: its payload is the path of the model, and of a CT what ``CTVolumeLib.scans`` gave it.
        folder: for the files.

    Raises:
        CTError: the scan can't be read, or is not of the kind that the model is for.
    """
    path, series = item.payload
    classifier = _loaded(path)
    mr_wanted = classifier.options.values == "mr"
    volume = mr.read(Path(item.source)) if mr_wanted else scans.volume_of(replace(item, payload=series))
    start = time.process_time()
    probability, made = predict(volume, classifier)
    finding = probability >= classifier.threshold
    content = {
        "schema": SCHEMA,
        "series": describe(volume, volume.as_axial()),
        "probability": probability,
        "threshold": classifier.threshold,
        "finding": finding,
        "warnings": [{"code": code, "text": text} for code, text in volume.meta.get("warnings", ())],
        "model": {"network": classifier.card["network"], "sha256": classifier.card["sha256"]},
        "note": "Research use only, not a medical device. The probability means what the training data made it mean.",
    }
    write_atomic(folder / RESULT, json.dumps(content, indent=1) + "\n")
    write_atomic(folder / PICTURE, picture(made))
    return {
        "probability": round(probability, 4),
        "finding": "yes" if finding else "no",
        "cpu_s": round(time.process_time() - start, 2),
    }


def picture(made: Input) -> bytes:
    """PNG of slices of what the network saw, from the feet to the head."""
    chosen = np.linspace(0, len(made.values) - 1, min(_PICTURES, len(made.values))).round().astype(int)
    slices = [np.rint(255 * made.values[k].astype(np.float32)).astype(np.uint8) for k in chosen]
    return to_png(montage(slices, columns=4))


@functools.lru_cache(maxsize=1)
def _loaded(path: str) -> Classifier:
    return network_model.load(Path(path))
