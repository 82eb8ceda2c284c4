"""Keras models as plain data: the graph of operations and weights that ``inference`` runs.

Needs Keras 3. Batch norm is folded into the layer before it; what counts only in training (dropout, noise,
augmentation) is left out.
"""

# ruff: noqa: ARG001 (all layers are handled by functions with the same arguments, needed or not)
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import CTError

if TYPE_CHECKING:
    import keras

_TRAINING_ONLY = frozenset({
    "ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise", "Identity",
    "RandomBrightness", "RandomContrast", "RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom",
    "SpatialDropout1D", "SpatialDropout2D",
})  # fmt: skip
_FOLDABLE = ("conv", "depthwise", "dense")


def describe(part: str, model: keras.Model, weights: dict[str, np.ndarray]) -> dict[str, Any]:
    """The graph of one part as plain data.

    Args:
        part: its name.
        model: a functional model.
        weights: the part's weights are put in here.

    Raises:
        CTError: ``unsupported_layer``.
    """
    builder = _Builder()
    inputs = []
    for number, tensor in enumerate(model.inputs):
        value = f"x{number}"
        builder.names[id(tensor)] = value
        inputs.append({"name": value, "shape": [None if size is None else int(size) for size in tensor.shape[1:]]})
    builder.walk(model)
    outputs = [(name, builder.names[id(tensor)]) for name, tensor in outputs_of(model)]
    nodes = _fuse(builder.nodes, {value for _, value in outputs})
    described = []
    for node in nodes:
        keys = [f"{part}/{node['name']}/{number}" for number in range(len(node["weights"]))]
        weights.update({key: np.asarray(array, np.float32) for key, array in zip(keys, node["weights"])})
        described.append({**node, "weights": keys})
    return {"inputs": inputs, "outputs": outputs, "nodes": described}


def outputs_of(model: keras.Model) -> list[tuple[str, Any]]:
    """Name and tensor of each output."""
    if isinstance(model.output, dict):
        return list(model.output.items())
    if len(model.outputs) == 1:
        return [("output", model.outputs[0])]
    return [(f"output_{number}", tensor) for number, tensor in enumerate(model.outputs)]


class _Builder:
    """Walks through a functional model, in order, and writes down one or more nodes for each layer."""

    def __init__(self) -> None:
        self.names: dict[int, str] = {}
        self.nodes: list[dict[str, Any]] = []

    def walk(self, model: keras.Model) -> None:
        """Add all layers of a model whose inputs have names already."""
        import keras

        if not hasattr(model, "_nodes_by_depth"):
            raise CTError("unsupported_layer", f"The model {model.name} is not a functional model.")
        for depth in sorted(model._nodes_by_depth, reverse=True):
            for node in model._nodes_by_depth[depth]:
                layer, tensors = node.operation, node.arguments.keras_tensors
                kind = type(layer).__name__
                if kind == "InputLayer":
                    continue
                inputs = [self.names[id(tensor)] for tensor in tensors]
                if isinstance(layer, keras.Model):
                    for inner, name in zip(layer.inputs, inputs):
                        self.names[id(inner)] = name
                    self.walk(layer)
                    results = [self.names[id(tensor)] for tensor in layer.outputs]
                elif kind in _TRAINING_ONLY:
                    results = inputs
                elif kind in _LAYERS and isinstance(layer, keras.layers.Layer):
                    if getattr(layer, "data_format", "channels_last") != "channels_last":
                        raise CTError("unsupported_layer", f"The layer {layer.name} is not channels-last.")
                    results = [_LAYERS[kind](self, layer, inputs, tensors)]
                else:
                    raise CTError(
                        "unsupported_layer",
                        f"The layer {layer.name} ({kind}) can't be exported.",
                        "Use one of the layers: " + ", ".join(sorted(_LAYERS)) + ".",
                    )
                for tensor, name in zip(node.outputs, results):
                    self.names[id(tensor)] = name

    def add(self, op: str, inputs: list[str], weights: tuple = (), **attributes: Any) -> str:
        """Add a node and return the name of its value."""
        name = f"v{len(self.nodes)}"
        self.nodes.append({
            "name": name, "op": op, "inputs": list(inputs),
            "weights": [np.asarray(array, np.float32) for array in weights], "attributes": attributes,
        })  # fmt: skip
        return name

    def activate(self, value: str, activation: Any) -> str:
        """Add a node for a Keras activation function unless it does nothing."""
        name = activation if isinstance(activation, str) else _activation_name(activation)
        return value if name == "linear" else self.add("activation", [value], activation=name)


def _fuse(nodes: list[dict[str, Any]], kept: set[str]) -> list[dict[str, Any]]:
    """Fold batch norm into the layer before it and activations into whatever is before them."""
    uses: dict[str, int] = {}
    for node in nodes:
        for value in node["inputs"]:
            uses[value] = uses.get(value, 0) + 1
    renamed: dict[str, str] = {}
    by_name: dict[str, dict[str, Any]] = {}
    result = []
    for node in nodes:
        node["inputs"] = [renamed.get(value, value) for value in node["inputs"]]
        before = by_name.get(node["inputs"][0])
        alone = before is not None and uses[before["as"]] == 1 and before["as"] not in kept
        plain = alone and before["node"]["attributes"].get("activation", "linear") == "linear"
        if plain and node["op"] == "affine" and before["node"]["op"] in _FOLDABLE:
            _fold(before["node"], *node["weights"])
        elif plain and node["op"] == "activation":
            before["node"]["attributes"]["activation"] = node["attributes"]["activation"]
        else:
            by_name[node["name"]] = {"node": node, "as": node["name"]}
            result.append(node)
            continue
        renamed[node["name"]] = before["node"]["name"]
        before["as"] = node["name"]
    # What was folded goes by the name of the last node folded in, which is the name that outputs know.
    final = {entry["node"]["name"]: entry["as"] for entry in by_name.values()}
    for node in result:
        node["inputs"] = [final.get(value, value) for value in node["inputs"]]
        node["name"] = final[node["name"]]
    return result


def _fold(node: dict[str, Any], scale: np.ndarray, shift: np.ndarray) -> None:
    kernel, bias = (array.astype(np.float64) for array in node["weights"])
    factors = scale.reshape(kernel.shape[2:]) if node["op"] == "depthwise" and scale.size > 1 else scale
    node["weights"] = [(kernel * factors).astype(np.float32), (bias * scale + shift).astype(np.float32)]


def _conv(builder: _Builder, layer: Any, inputs: list[str], tensors: list) -> str:
    if layer.groups != 1:
        raise CTError("unsupported_layer", f"The layer {layer.name} has groups, which can't be exported.")
    kernel = np.asarray(layer.kernel)
    kernel = kernel[None] if kernel.ndim == 3 else kernel
    bias = np.asarray(layer.bias) if layer.use_bias else np.zeros(kernel.shape[-1])
    return builder.activate(builder.add("conv", inputs, (kernel, bias), **_window(layer)), layer.activation)


def _transposed(builder: _Builder, layer: Any, inputs: list[str], tensors: list) -> str:
    if getattr(layer, "output_padding", None) is not None:
        raise CTError("unsupported_layer", f"The layer {layer.name} has an output padding, which can't be exported.")
    kernel = np.asarray(layer.kernel)
    kernel = kernel[None] if kernel.ndim == 3 else kernel
    bias = np.asarray(layer.bias) if layer.use_bias else np.zeros(kernel.shape[-2])
    return builder.activate(builder.add("transposed", inputs, (kernel, bias), **_window(layer)), layer.activation)


def _depthwise(builder: _Builder, layer: Any, inputs: list[str], tensors: list) -> str:
    kernel = np.asarray(layer.kernel)
    kernel = kernel[None] if kernel.ndim == 3 else kernel
    bias = np.asarray(layer.bias) if layer.use_bias else np.zeros(kernel.shape[-1] * kernel.shape[-2])
    return builder.activate(builder.add("depthwise", inputs, (kernel, bias), **_window(layer)), layer.activation)


def _separable(builder: _Builder, layer: Any, inputs: list[str], tensors: list) -> str:
    first, second = np.asarray(layer.depthwise_kernel), np.asarray(layer.pointwise_kernel)
    if first.ndim == 3:
        first, second = first[None], second[None]
    value = builder.add("depthwise", inputs, (first, np.zeros(first.shape[-1] * first.shape[-2])), **_window(layer))
    bias = np.asarray(layer.bias) if layer.use_bias else np.zeros(second.shape[-1])
    value = builder.add("conv", [value], (second, bias), stride=[1, 1], dilation=[1, 1], padding="valid")
    return builder.activate(value, layer.activation)


def _dense(builder: _Builder, layer: Any, inputs: list[str], tensors: list) -> str:
    kernel = np.asarray(layer.kernel)
    bias = np.asarray(layer.bias) if layer.use_bias else np.zeros(kernel.shape[-1])
    return builder.activate(builder.add("dense", inputs, (kernel, bias)), layer.activation)


def _batch_norm(builder: _Builder, layer: Any, inputs: list[str], tensors: list) -> str:
    _last_axis(layer, layer.axis, tensors)
    mean, variance = (np.asarray(array, np.float64) for array in (layer.moving_mean, layer.moving_variance))
    scale = 1 / np.sqrt(variance + layer.epsilon)
    if layer.scale:
        scale = scale * np.asarray(layer.gamma, np.float64)
    shift = (np.asarray(layer.beta, np.float64) if layer.center else 0) - mean * scale
    return builder.add("affine", inputs, (scale, shift))


def _layer_norm(builder: _Builder, layer: Any, inputs: list[str], tensors: list) -> str:
    _last_axis(layer, layer.axis, tensors)
    channels = tensors[0].shape[-1]
    scale = np.asarray(layer.gamma) if layer.scale else np.ones(channels)
    shift = np.asarray(layer.beta) if layer.center else np.zeros(channels)
    return builder.add("layer_norm", inputs, (scale, shift), epsilon=float(layer.epsilon))


def _rescaling(builder: _Builder, layer: Any, inputs: list[str], tensors: list) -> str:
    scale, shift = np.broadcast_arrays(np.atleast_1d(layer.scale), np.atleast_1d(layer.offset))
    return builder.add("affine", inputs, (scale, shift))


def _activation(builder: _Builder, layer: Any, inputs: list[str], tensors: list) -> str:
    return builder.activate(inputs[0], layer.activation)


def _relu(builder: _Builder, layer: Any, inputs: list[str], tensors: list) -> str:
    if layer.threshold or layer.negative_slope or layer.max_value not in (None, 6):
        raise CTError("unsupported_layer", f"The ReLU {layer.name} is neither plain nor cut at 6.")
    return builder.activate(inputs[0], "relu6" if layer.max_value else "relu")


def _leaky_relu(builder: _Builder, layer: Any, inputs: list[str], tensors: list) -> str:
    return builder.add("leaky_relu", inputs, slope=float(layer.negative_slope))


def _elu(builder: _Builder, layer: Any, inputs: list[str], tensors: list) -> str:
    if layer.get_config().get("alpha", 1.0) != 1.0:
        raise CTError("unsupported_layer", f"The ELU {layer.name} has an alpha other than 1.")
    return builder.activate(inputs[0], "elu")


def _softmax(builder: _Builder, layer: Any, inputs: list[str], tensors: list) -> str:
    _last_axis(layer, layer.axis, tensors)
    return builder.activate(inputs[0], "softmax")


def _pool(op: str) -> Callable:
    def add(builder: _Builder, layer: Any, inputs: list[str], tensors: list) -> str:
        padding = layer.padding.lower()
        return builder.add(op, inputs, size=_two(layer.pool_size), stride=_two(layer.strides), padding=padding)

    return add


def _global(op: str) -> Callable:
    def add(builder: _Builder, layer: Any, inputs: list[str], tensors: list) -> str:
        return builder.add(op, inputs, keepdims=bool(layer.keepdims))

    return add


def _merge(op: str) -> Callable:
    def add(builder: _Builder, layer: Any, inputs: list[str], tensors: list) -> str:
        return builder.add(op, inputs)

    return add


def _concatenate(builder: _Builder, layer: Any, inputs: list[str], tensors: list) -> str:
    return builder.add("concatenate", inputs, axis=int(layer.axis) % len(tensors[0].shape))


def _flatten(builder: _Builder, layer: Any, inputs: list[str], tensors: list) -> str:
    return builder.add("reshape", inputs, shape=[-1])


def _reshape(builder: _Builder, layer: Any, inputs: list[str], tensors: list) -> str:
    return builder.add("reshape", inputs, shape=[int(size) for size in layer.target_shape])


def _enlarge(builder: _Builder, layer: Any, inputs: list[str], tensors: list) -> str:
    interpolation = getattr(layer, "interpolation", "nearest")
    if interpolation not in ("nearest", "bilinear"):
        raise CTError("unsupported_layer", f"The up-sampling {layer.name} is neither nearest nor bilinear.")
    return builder.add("enlarge", inputs, size=_two(layer.size), interpolation=interpolation)


def _rim(op: str) -> Callable:
    def add(builder: _Builder, layer: Any, inputs: list[str], tensors: list) -> str:
        rims = getattr(layer, "padding", None) or layer.cropping
        rims = [[0, 0], list(rims)] if len(tensors[0].shape) == 3 else [list(rim) for rim in rims]
        return builder.add(op, inputs, padding=[[int(size) for size in rim] for rim in rims])

    return add


_LAYERS: dict[str, Callable] = {
    "Activation": _activation,
    "Add": _merge("add"),
    "AveragePooling1D": _pool("average_pool"),
    "AveragePooling2D": _pool("average_pool"),
    "BatchNormalization": _batch_norm,
    "Concatenate": _concatenate,
    "Conv1D": _conv,
    "Conv1DTranspose": _transposed,
    "Conv2D": _conv,
    "Conv2DTranspose": _transposed,
    "Cropping1D": _rim("crop"),
    "Cropping2D": _rim("crop"),
    "Dense": _dense,
    "DepthwiseConv1D": _depthwise,
    "DepthwiseConv2D": _depthwise,
    "ELU": _elu,
    "Flatten": _flatten,
    "GlobalAveragePooling1D": _global("global_average"),
    "GlobalAveragePooling2D": _global("global_average"),
    "GlobalMaxPooling1D": _global("global_max"),
    "GlobalMaxPooling2D": _global("global_max"),
    "LayerNormalization": _layer_norm,
    "LeakyReLU": _leaky_relu,
    "MaxPooling1D": _pool("max_pool"),
    "MaxPooling2D": _pool("max_pool"),
    "Multiply": _merge("multiply"),
    "ReLU": _relu,
    "Rescaling": _rescaling,
    "Reshape": _reshape,
    "SeparableConv1D": _separable,
    "SeparableConv2D": _separable,
    "Softmax": _softmax,
    "Subtract": _merge("subtract"),
    "UpSampling1D": _enlarge,
    "UpSampling2D": _enlarge,
    "ZeroPadding1D": _rim("pad"),
    "ZeroPadding2D": _rim("pad"),
}


def _activation_name(activation: Any) -> str:
    from .inference_ops import ACTIVATIONS

    name = getattr(activation, "__name__", type(activation).__name__)
    name = {"swish": "silu"}.get(name, name)
    if name not in ACTIVATIONS:
        raise CTError(
            "unsupported_layer",
            f"The activation {name} can't be exported.",
            "Use one of: " + ", ".join(sorted(ACTIVATIONS)) + ".",
        )
    return name


def _window(layer: Any) -> dict[str, Any]:
    dilation = _two(layer.dilation_rate)
    padding: Any = layer.padding
    if padding == "causal":
        padding = [[0, 0], [dilation[1] * (layer.kernel_size[0] - 1), 0]]
    return {"stride": _two(layer.strides), "dilation": dilation, "padding": padding}


def _two(value: Any) -> list[int]:
    """A pair of ints for a picture; a sequence is a picture with one row."""
    values = [int(number) for number in np.atleast_1d(value)]
    return values if len(values) == 2 else [1, *values]


def _last_axis(layer: Any, axis: Any, tensors: list) -> None:
    axis = axis[0] if isinstance(axis, (list, tuple)) and len(axis) == 1 else axis
    if axis not in (-1, len(tensors[0].shape) - 1):
        raise CTError("unsupported_layer", f"The layer {layer.name} does not work on the last axis.")
