"""Writes trained Keras models as the files that ``inference`` runs without TensorFlow.

Needs Keras 3 on TensorFlow, which only training has. The same weights always give the same bytes; every engine is
tried on what is written.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import platform
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import CTError
from .files import npz_bytes, write_atomic
from .inference import CARD_SCHEMA, GRAPH_SCHEMA, Model
from .network_graph import describe, outputs_of
from .network_halving import halve, stored

if TYPE_CHECKING:
    import keras


def export(
    models: Mapping[str, keras.Model],
    path_stem: Path | str,
    card: Mapping[str, Any],
    litert_part: str | None = "encoder",
    batch: int = 16,
    half: bool = False,
) -> dict[str, Any]:
    """Write ``<stem>.npz``, ``<stem>.tflite`` and the card ``<stem>.json``, the card last.

    Args:
        models: by part name; functional Keras models. Outputs given to ``keras.Model`` as a dict keep their names.
        path_stem: folder and name without an ending.
        card: whatever people should know (input, scale, outputs, trained_on, accuracy, seed, ...). ``schema``,
            ``name``, ``sha256``, ``litert`` and ``versions`` are added.
        litert_part: which part LiteRT shall run; None for no ``.tflite``. It must have one input of fixed shape.
        batch: samples that LiteRT runs at a time.
        half: keep weights with 16 bits, in half the space. The models given are changed: they get the same weights.

    Returns:
        The card as written.

    Raises:
        CTError: ``unsupported_layer``, ``export_differs``, ``cannot_write``.
    """
    path_stem = Path(path_stem)
    weights: dict[str, np.ndarray] = {}
    for model in models.values() if half else ():
        halve(model)
    parts = {name: describe(name, model, weights) for name, model in models.items()}
    graph = json.dumps({"schema": GRAPH_SCHEMA, "parts": parts}, sort_keys=True, separators=(",", ":"))
    if half:
        weights = {name: stored(array) for name, array in weights.items()}
    files = {".npz": npz_bytes({"graph": np.frombuffer(graph.encode(), np.uint8), **weights})}
    written = {**card, "schema": CARD_SCHEMA, "name": path_stem.name, "versions": _versions()}
    written.pop("litert", None)
    if litert_part is not None:
        outputs = [name for name, _ in parts[litert_part]["outputs"]]
        files[".tflite"] = _tflite_bytes(models[litert_part], outputs, batch, half)
        written["litert"] = {"part": litert_part, "outputs": outputs, "batch": batch}
    written["networks"] = {
        name: {"parameters": int(sum(np.prod(weight.shape) for weight in model.weights))}
        for name, model in models.items()
    }
    written["sha256"] = {ending[1:]: hashlib.sha256(data).hexdigest() for ending, data in files.items()}
    files[".json"] = (json.dumps(written, indent=2, ensure_ascii=False) + "\n").encode()
    _check_agreement(models, path_stem.name, files)
    if litert_part is None:
        _beside(path_stem, ".tflite").unlink(missing_ok=True)
    for ending, data in files.items():
        write_atomic(_beside(path_stem, ending), data)
    return written


def _check_agreement(models: Mapping[str, keras.Model], name: str, files: Mapping[str, bytes]) -> None:
    """Run each network with every engine that is here; a converter that goes wrong must not go unnoticed."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        for ending, data in files.items():
            write_atomic(Path(folder, name + ending), data)
        engines = ["numpy"]
        if ".tflite" in files and importlib.util.find_spec("ai_edge_litert"):
            engines.append("litert")
        loaded = {engine: Model.load(Path(folder, name), engine) for engine in engines}
        for part, model in models.items():
            x = [
                rng.random((2, *(64 if size is None else size for size in tensor.shape[1:])), np.float32)
                for tensor in model.inputs
            ]
            expected = model(x[0] if len(x) == 1 else x, training=False)
            for engine in engines:
                got = loaded[engine].parts[part].predict(x)
                got = got if isinstance(got, dict) else {outputs_of(model)[0][0]: got}
                for (key, _), want in zip(outputs_of(model), _values(expected)):
                    largest = float(np.max(np.abs(got[key] - want)))
                    if not largest <= 1e-4 * max(1.0, float(np.max(np.abs(want)))):
                        raise CTError(
                            "export_differs",
                            f"The output {key} of {part} differs from Keras by {largest:g} in the engine {engine}.",
                            "Nothing was written; please report the layers of the network.",
                        )


def _values(results: Any) -> list[np.ndarray]:
    values = results.values() if isinstance(results, dict) else results
    values = values if isinstance(results, (dict, list, tuple)) else [results]
    return [np.asarray(value) for value in values]


def _tflite_bytes(model: keras.Model, outputs: list[str], batch: int, half: bool) -> bytes:
    """TFLite that reckons with 32 bits, with only built-in operations, a fixed batch and outputs by name."""
    import tensorflow as tf

    (tensor,) = model.inputs
    signature = tf.TensorSpec((batch, *tensor.shape[1:]), tf.float32, name="x")

    def call(x: tf.Tensor) -> dict[str, tf.Tensor]:
        results = model(x, training=False)
        if isinstance(results, dict):
            return {name: results[name] for name in outputs}
        return dict(zip(outputs, results if isinstance(results, (list, tuple)) else [results]))

    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    # Keras variables would stay variables in the file, and those hold nothing when it is read: freeze them first.
    frozen = convert_variables_to_constants_v2(tf.function(call, input_signature=[signature]).get_concrete_function())
    order = sorted(outputs)  # the order in which TensorFlow flattens a dict
    module = tf.Module()
    module.frozen = frozen
    module.call = tf.function(lambda x: dict(zip(order, frozen(x))), input_signature=[signature])
    with tempfile.TemporaryDirectory() as folder:
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)  # else silu can't be saved
        tf.saved_model.save(module, folder, signatures={"serving_default": module.call}, options=options)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]  # no Flex: Slicer has no TensorFlow
        if half:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        return _without_names(converter.convert())


def _without_names(model: bytes) -> bytes:
    """The same LiteRT model with numbers for the names of its tensors.

    Those are made of the names of Keras' layers, which count up with every network that a process has built: the same
    weights would give other bytes after a training than on their own. Inputs and outputs go by the signature.
    """
    from tensorflow.lite.tools import flatbuffer_utils

    content = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    for graph in content.subgraphs:
        for number, tensor in enumerate(graph.tensors):
            tensor.name = f"t{number}".encode()
    return bytes(flatbuffer_utils.convert_object_to_bytearray(content))


def _versions() -> dict[str, str]:
    import keras
    import tensorflow as tf

    return {"keras": keras.__version__, "numpy": np.__version__, "python": platform.python_version(),
            "tensorflow": tf.__version__}  # fmt: skip


def _beside(stem: Path, ending: str) -> Path:
    return stem.with_name(stem.name + ending)
