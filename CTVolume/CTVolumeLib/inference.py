"""Runs the networks that the project ships: in numpy with nothing to install, or faster in LiteRT where it is present.

A model is three files that lie side by side and share their name:

* ``<name>.npz``: weights and graph. One array ``graph`` (uint8: UTF-8 JSON), all others weights, float32 or float16
  (which are reckoned with as float32). It may hold several parts, such as ``encoder`` (each slice by itself) and
  ``context`` (1-D, over the slices of a scan).
* ``<name>.tflite``: the encoder again for LiteRT, with a fixed number of slices at a time. May be missing.
* ``<name>.json``: the card. ``schema`` "ct-model/1", ``name``, ``sha256`` (of ``npz`` and ``tflite``), ``litert``
  (``part`` and ``outputs``), and for people: input, scale, outputs, trained_on, accuracy, versions, seed.

Reading executes nothing that a file says: no pickle, and only operations known here. A file that is damaged, foreign
or does not belong to its card is refused.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import zipfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .blas import one_thread_each, threads
from .errors import CTError

CARD_SCHEMA = "ct-model/1"
GRAPH_SCHEMA = "ct-graph/1"

Progress = Callable[[int, int, str], bool]

_LOG = logging.getLogger(__name__)
_HINT = "Reinstall the extension, or choose another model file together with its card."
_LARGEST_FILE = 512 * 2**20
_CACHE = 6 * 2**20
"""Bytes that one thread works on at a time: about what stays in a processor's cache."""


@dataclass(frozen=True)
class Model:
    """A trained network with its card.

    Attributes:
        parts: by name, what can be run; each has ``predict``.
        card: the card as read.
        name: the name on the card.
        sha256: of the ``.npz`` file.
        engine: "numpy" or "litert", what runs the encoder.
    """

    parts: Mapping[str, Part]
    card: Mapping[str, Any]
    name: str
    sha256: str
    engine: str

    @classmethod
    def load(cls, path: Path | str, engine: str = "auto") -> Model:
        """Read a model and check that it is whole.

        Args:
            path: the ``.npz`` file, with or without the ending; card and ``.tflite`` lie beside it.
            engine: "numpy", "litert", or "auto" for LiteRT where it can be had, else numpy.

        Raises:
            CTError: ``no_model``, ``bad_model`` (damaged, foreign, not the card's), ``no_litert``, ``bad_engine``.
        """
        if engine not in ("auto", "numpy", "litert"):
            raise CTError("bad_engine", f"There is no engine called {engine}.", "Choose auto, numpy or litert.")
        path = Path(path)
        if path.suffix != ".npz":
            path = path.with_name(path.name + ".npz")
        data = _read(path, "no_model")
        card = _read_card(path.with_suffix(".json"), path.name)
        sha256 = hashlib.sha256(data).hexdigest()
        if card["sha256"].get("npz") != sha256:
            raise _bad(path, "it is damaged, or the card beside it belongs to another model")
        parts = _read_parts(path, data)
        used = "numpy"
        if engine != "numpy":
            try:
                parts = _with_litert(parts, card, path.with_suffix(".tflite"))
                used = "litert"
            except CTError as error:
                if engine == "litert":
                    raise
                _LOG.info("LiteRT is not used: %s", error.message)
        return cls(parts, card, card["name"], sha256, used)


@dataclass(frozen=True)
class Part:
    """One network of a model, run in numpy.

    Attributes:
        inputs: name and shape of each input, without the first axis; None is any size.
        outputs: name of each output and the value in the graph that it is.
    """

    name: str
    inputs: tuple[tuple[str, tuple[int | None, ...]], ...]
    outputs: tuple[tuple[str, str], ...]
    nodes: tuple[_Node, ...]
    last_use: Mapping[str, int] = field(repr=False)

    def predict(self, x: np.ndarray | Sequence[np.ndarray], progress: Progress | None = None):
        """Run the network on n samples, in chunks that fit the processor's cache.

        Args:
            x: (n, h, w, c) or (n, t, c), any real type; a sequence of such arrays for a network with several inputs.
            progress: called after each chunk with samples done, all samples, and a text; False cancels.

        Returns:
            float32 (n, ...), or a dict of them by name for a network with several outputs.

        Raises:
            CTError: ``bad_shape`` where x does not fit, ``cancelled``.
        """
        arrays = _check_inputs(self, x)
        with one_thread_each() as own_threads:
            return _in_chunks(arrays, self._chunk(arrays), self._run, progress, threads() if own_threads else 1)

    def member(self, number: int) -> Part:
        """One network of several that run side by side and whose outputs lie side by side in each output.

        Args:
            number: which, from 0.

        Returns:
            The same part with that network's outputs only; what leads to the others' is not reckoned.

        Raises:
            CTError: ``no_member`` where the outputs are not made of so many.
        """
        by_name = {node.name: node for node in self.nodes}
        outputs = []
        for name, value in self.outputs:
            node = by_name[value]
            if node.op != "concatenate" or not 0 <= number < len(node.inputs):
                raise CTError("no_member", f"The network {self.name} has no member {number + 1}.")
            outputs.append((name, node.inputs[number]))
        needed = {value for _, value in outputs}
        nodes: list[_Node] = []
        for node in reversed(self.nodes):
            if node.name in needed:
                nodes.insert(0, node)
                needed.update(node.inputs)
        last_use = {value: index for index, node in enumerate(nodes) for value in node.inputs}
        last_use.update({value: len(nodes) for _, value in outputs})
        return Part(self.name, self.inputs, tuple(outputs), tuple(nodes), last_use)

    def macs(self, *shape: int) -> int:
        """Multiplications of one sample in convolutions and dense layers.

        Args:
            shape: of one sample of the (first) input; where omitted the network's own.
        """
        counted = 0

        def count(node: _Node, result: np.ndarray) -> None:
            nonlocal counted
            if node.op in ("conv", "dense"):
                counted += result[..., 0].size * node.weights[0].size
            elif node.op == "depthwise":
                counted += result[0, ..., 0].size * node.weights[0].size

        arrays = [np.zeros((1, *example), np.float32) for example in _examples(self)]
        if shape:
            arrays[0] = np.zeros((1, *shape), np.float32)
        self._run(arrays, count)
        return counted

    def _run(self, arrays: list[np.ndarray], watch: Callable | None = None) -> dict[str, np.ndarray]:
        from .inference_ops import run

        values = {name: array for (name, _), array in zip(self.inputs, arrays)}
        for index, node in enumerate(self.nodes):
            result = run(node.op, [values[name] for name in node.inputs], node.weights, node.attributes)
            values[node.name] = result
            if watch:
                watch(node, result)
            for name in {*node.inputs, node.name}:
                if self.last_use.get(name, -1) <= index:
                    del values[name]
        return {name: np.asarray(values[value], np.float32) for name, value in self.outputs}

    def _chunk(self, arrays: list[np.ndarray]) -> int:
        """How many samples at a time, so that what one operation reads, gathers and writes fits ``_CACHE``."""
        largest = 1

        def measure(node: _Node, result: np.ndarray) -> None:
            nonlocal largest
            gathered = node.weights[0][..., 0].size * result[..., 0].nbytes if node.op == "conv" else result.nbytes
            largest = max(largest, gathered + 2 * result.nbytes)

        if arrays[0].shape[0] <= 1:
            return 1
        self._run([np.zeros((1, *array.shape[1:]), np.float32) for array in arrays], measure)
        return max(1, min(64, _CACHE // largest))


@dataclass(frozen=True)
class _Node:
    name: str
    op: str
    inputs: tuple[str, ...]
    weights: tuple[np.ndarray, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class _LiteRTPart:
    """One network of a model, run by LiteRT with a fixed number of samples at a time."""

    name: str
    inputs: tuple[tuple[str, tuple[int | None, ...]], ...]
    outputs: tuple[tuple[str, str], ...]
    interpreter: Any
    content: bytes = field(repr=False)  # LiteRT reads the weights from here and does not hold on to them
    runner: Any
    input_name: str
    batch: int
    plain: Part

    def predict(self, x: np.ndarray | Sequence[np.ndarray], progress: Progress | None = None):
        """As ``Part.predict``."""
        return _in_chunks(_check_inputs(self, x), self.batch, self._run, progress)

    def member(self, number: int) -> Part:
        """As ``Part.member``; it runs in numpy."""
        return self.plain.member(number)

    def macs(self, *shape: int) -> int:
        """As ``Part.macs``."""
        return self.plain.macs(*shape)

    def _run(self, arrays: list[np.ndarray]) -> dict[str, np.ndarray]:
        (array,) = arrays
        count = array.shape[0]
        if count < self.batch:
            array = np.concatenate([array, np.zeros((self.batch - count, *array.shape[1:]), np.float32)])
        results = self.runner(**{self.input_name: np.ascontiguousarray(array)})
        return {name: results[name][:count] for name, _ in self.outputs}


def _check_inputs(part: Part | _LiteRTPart, x: np.ndarray | Sequence[np.ndarray]) -> list[np.ndarray]:
    arrays = [np.asarray(array) for array in ([x] if isinstance(x, np.ndarray) else x)]
    shapes = [shape for _, shape in part.inputs]
    fits = len(arrays) == len(shapes) and all(
        array.ndim == len(shape) + 1
        and array.shape[0] == arrays[0].shape[0]
        and all(wanted in (None, size) and size > 0 for size, wanted in zip(array.shape[1:], shape))
        for array, shape in zip(arrays, shapes)
    )
    if not fits:
        raise CTError(
            "bad_shape",
            f"The network {part.name} takes inputs of the shape {[(None, *shape) for shape in shapes]}, "
            f"not {[array.shape for array in arrays]}.",
        )
    return arrays


def _in_chunks(
    arrays: list[np.ndarray], chunk: int, run: Callable, progress: Progress | None, workers: int = 1
) -> np.ndarray | dict[str, np.ndarray]:
    total = arrays[0].shape[0]
    if total == 0:
        nothing = [np.zeros((1, *(size or 1 for size in array.shape[1:])), np.float32) for array in arrays]
        return _one_or_dict({name: value[:0] for name, value in run(nothing).items()})

    def work(begin: int) -> dict[str, np.ndarray]:
        return run([np.asarray(array[begin : begin + chunk], np.float32) for array in arrays])

    results: dict[str, np.ndarray] = {}
    begins = range(0, total, chunk)
    with ThreadPoolExecutor(max(1, min(workers, len(begins)))) as pool:
        pieces = pool.map(work, begins) if min(workers, len(begins)) > 1 else map(work, begins)
        for begin, piece in zip(begins, pieces):
            for name, value in piece.items():
                if begin == 0:
                    results[name] = np.empty((total, *value.shape[1:]), np.float32)
                results[name][begin : begin + chunk] = value
            done = min(begin + chunk, total)
            if progress and not progress(done, total, f"Running the network on {total} slices"):
                pool.shutdown(wait=False, cancel_futures=True)
                raise CTError("cancelled", "The run was cancelled.")
    return _one_or_dict(results)


def _one_or_dict(results: dict[str, np.ndarray]) -> np.ndarray | dict[str, np.ndarray]:
    return results if len(results) > 1 else next(iter(results.values()))


def _read(path: Path, missing: str) -> bytes:
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise _bad(path, "it is far larger than any model")
        return path.read_bytes()
    except FileNotFoundError:
        raise CTError(missing, f"The model file {path.name} is not there.", _HINT) from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise CTError(missing, f"The model file {path.name} can't be read: {reason}.", _HINT) from error


def _read_card(path: Path, model: str) -> dict[str, Any]:
    data = _read(path, "bad_model")
    try:
        card = json.loads(data)
    except (ValueError, RecursionError):
        raise _bad(path, "it is no JSON text") from None
    if not isinstance(card, dict) or card.get("schema") != CARD_SCHEMA:
        raise _bad(path, f"it is not a card with the schema {CARD_SCHEMA}")
    hashes = card.get("sha256")
    if not (isinstance(card.get("name"), str) and isinstance(hashes, dict) and isinstance(hashes.get("npz"), str)):
        raise _bad(path, f"it lacks the name or the checksum of {model}")
    return card


def _read_parts(path: Path, data: bytes) -> dict[str, Part]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _LARGEST_FILE:
                raise _bad(path, "it is far larger than any model")
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except CTError:
        raise
    except Exception as error:  # numpy and zipfile raise many kinds for damaged files
        raise _bad(path, f"it is damaged or no .npz file ({type(error).__name__})") from error
    try:
        graph = json.loads(arrays.pop("graph").tobytes())
        if graph["schema"] != GRAPH_SCHEMA:
            raise _bad(path, f"its graph has the schema {graph['schema']}, not {GRAPH_SCHEMA}")
        descriptions = dict(graph["parts"])
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise _bad(path, "it holds arrays, but no network") from error
    for name, array in arrays.items():
        if array.dtype not in (np.float32, np.float16) or not np.all(np.isfinite(array)):
            raise _bad(path, f"its weights {name} are not finite float32 or float16 numbers")
    if not descriptions:
        raise _bad(path, "it holds no network")
    return {name: _read_part(path, name, description, arrays) for name, description in descriptions.items()}


def _read_part(path: Path, name: str, description: Any, arrays: Mapping[str, np.ndarray]) -> Part:
    """Build a part and try it on zeros, which finds whatever does not fit together."""
    from .inference_ops import ACTIVATIONS, OPERATIONS

    try:
        inputs = tuple(
            (str(entry["name"]), tuple(_size(size) for size in entry["shape"])) for entry in description["inputs"]
        )
        last_use = {value: -1 for value, _ in inputs}
        nodes = []
        for index, entry in enumerate(description["nodes"]):
            attributes = dict(entry.get("attributes", {}))
            activation = attributes.get("activation", "linear")
            if entry["op"] not in OPERATIONS or activation not in ACTIVATIONS:
                raise _bad(
                    path,
                    f"its network {name} needs the operation {entry['op']} with {activation}, "
                    "which this version does not know",
                )
            node = _Node(
                str(entry["name"]),
                entry["op"],
                tuple(entry["inputs"]),
                tuple(np.ascontiguousarray(arrays[weight], np.float32) for weight in entry.get("weights", ())),
                attributes,
            )
            if node.name in last_use or not node.inputs:
                raise ValueError(f"{node.name} occurs twice or has no input")
            for value in node.inputs:
                if value not in last_use:
                    raise ValueError(f"{node.name} needs the unknown value {value}")
                last_use[value] = index
            last_use[node.name] = -1
            nodes.append(node)
        outputs = tuple((str(key), str(value)) for key, value in description["outputs"])
        last_use.update({value: len(nodes) for _, value in outputs})
        part = Part(name, inputs, outputs, tuple(nodes), last_use)
        if not outputs or not inputs:
            raise ValueError("no inputs or no outputs")
        with np.errstate(all="ignore"):
            part._run([np.zeros((1, *example), np.float32) for example in _examples(part)])
    except CTError:
        raise
    except Exception as error:  # whatever a damaged or forged graph leads to; nothing of it is executed
        raise _bad(path, f"its network {name} does not fit together ({type(error).__name__}: {error})") from error
    return part


def _size(value: Any) -> int | None:
    if value is not None and (type(value) is not int or not 1 <= value <= 4096):
        raise ValueError(f"size {value}")
    return value


def _examples(part: Part) -> list[tuple[int, ...]]:
    """A shape for each input, 64 where any size will do."""
    return [tuple(64 if size is None else size for size in shape) for _, shape in part.inputs]


def _with_litert(parts: Mapping[str, Part], card: Mapping[str, Any], path: Path) -> dict[str, Part | _LiteRTPart]:
    """The parts with the encoder replaced by LiteRT."""
    hint = "Choose the engine auto or numpy; it gives the same result without LiteRT."
    entry = card.get("litert")
    if not isinstance(entry, dict) or entry.get("part") not in parts or not path.exists():
        raise CTError("no_litert", f"There is no {path.name} for LiteRT.", hint)
    data = _read(path, "no_litert")
    if card["sha256"].get("tflite") != hashlib.sha256(data).hexdigest():
        raise CTError("bad_model", f"The model file {path.name} can't be used: it does not belong to its card.", hint)
    try:
        from ai_edge_litert.interpreter import Interpreter
    except Exception as error:  # also a wheel that does not load here
        raise CTError(
            "no_litert",
            f"LiteRT is not installed or does not load ({type(error).__name__}).",
            "Install the package ai-edge-litert, or choose the engine auto or numpy.",
        ) from error
    plain = parts[entry["part"]]
    try:
        interpreter = Interpreter(model_content=data, num_threads=threads())
        runner = interpreter.get_signature_runner()
        ((input_name, details),) = runner.get_input_details().items()
        names = set(runner.get_output_details())
        shape = tuple(int(size) for size in details["shape"])
        if shape[1:] != plain.inputs[0][1] or not {name for name, _ in plain.outputs} <= names:
            raise ValueError(f"input {shape}, outputs {sorted(names)}")
    except Exception as error:
        raise CTError(
            "bad_model", f"The model file {path.name} can't be used: LiteRT refuses it ({error}).", hint
        ) from error
    part = _LiteRTPart(plain.name, plain.inputs, plain.outputs, interpreter, data, runner, input_name, shape[0], plain)
    return {**parts, plain.name: part}


def _bad(path: Path, reason: str) -> CTError:
    return CTError("bad_model", f"The model file {path.name} can't be used: {reason}.", _HINT)
