"""Keras, the numpy engine and LiteRT give the same numbers, for each layer by itself and for whole networks."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
from CTVolumeLib.errors import CTError
from CTVolumeLib.inference import Model

keras = pytest.importorskip("keras")
from CTVolumeLib.network_export import export  # noqa: E402
from keras import layers as L  # noqa: E402, N812

CARD = {"input": "noise", "outputs": "noise", "scale": "none", "trained_on": "nothing", "accuracy": "none", "seed": 0}


def randomise(model, seed=0):
    """Random weights everywhere, and batch norm statistics as after a training."""
    rng = np.random.default_rng(seed)
    for layer in model._flatten_layers(include_self=False, recursive=True):
        if isinstance(layer, keras.Model) or not layer.weights:
            continue
        values = []
        for weight in layer.weights:
            if weight.path.endswith(("moving_variance", "gamma")):
                values.append(rng.uniform(0.5, 1.5, weight.shape))
            else:
                values.append(rng.normal(0, 1 / np.sqrt(max(1, np.prod(weight.shape[:-1]))), weight.shape))
        layer.set_weights(values)
    return model


def agree(tmp_path, model, shape, litert=True, seed=1):
    """Largest difference between Keras and the engines, on inputs of both signs."""
    randomise(model)
    export({"encoder": model}, tmp_path / "net", CARD, "encoder" if litert else None, batch=2)
    x = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    expected = np.asarray(model(x, training=False))
    for engine in ("numpy", "litert") if litert else ("numpy",):
        got = Model.load(tmp_path / "net.npz", engine).parts["encoder"].predict(x)
        assert got.dtype == np.float32
        assert got.shape == expected.shape
        assert np.ptp(expected) > 1e-3, "a constant proves nothing"
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-4, err_msg=engine)


PICTURE_LAYERS = {
    "conv same": lambda: L.Conv2D(5, 3, padding="same"),
    "conv valid": lambda: L.Conv2D(5, 3, padding="valid", activation="relu"),
    "conv stride 2 same": lambda: L.Conv2D(5, 3, strides=2, padding="same"),
    "conv stride 3 valid": lambda: L.Conv2D(5, (5, 2), strides=3),
    "conv strides differ": lambda: L.Conv2D(5, 4, strides=(1, 2), padding="same", use_bias=False),
    "conv even kernel": lambda: L.Conv2D(5, (2, 4), padding="same"),
    "conv dilated same": lambda: L.Conv2D(5, 3, dilation_rate=2, padding="same"),
    "conv dilated valid": lambda: L.Conv2D(5, (3, 2), dilation_rate=(3, 2)),
    "conv point stride": lambda: L.Conv2D(5, 1, strides=2),
    "conv stride over kernel": lambda: L.Conv2D(5, 2, strides=4, padding="same"),
    "depthwise": lambda: L.DepthwiseConv2D(3, padding="same"),
    "depthwise stride": lambda: L.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2),
    "depthwise dilated": lambda: L.DepthwiseConv2D(3, dilation_rate=2, padding="valid"),
    "separable": lambda: L.SeparableConv2D(6, 3, strides=2, padding="same", activation="elu"),
    "max pool same": lambda: L.MaxPooling2D(3, strides=2, padding="same"),
    "max pool valid": lambda: L.MaxPooling2D((2, 3)),
    "average pool same": lambda: L.AveragePooling2D(3, strides=2, padding="same"),
    "average pool valid": lambda: L.AveragePooling2D(2),
    "global average": L.GlobalAveragePooling2D,
    "global average keepdims": lambda: L.GlobalAveragePooling2D(keepdims=True),
    "global max": L.GlobalMaxPooling2D,
    "dense": lambda: L.Dense(4, activation="tanh"),
    "batch norm": L.BatchNormalization,
    "batch norm without scale": lambda: L.BatchNormalization(scale=False, center=False),
    "layer norm": L.LayerNormalization,
    "rescaling": lambda: L.Rescaling(2.0, -0.5),
    "flatten": L.Flatten,
    "reshape": lambda: L.Reshape((-1, 6)),
    "transposed": lambda: L.Conv2DTranspose(5, 2, strides=2, activation="relu"),
    "transposed valid": lambda: L.Conv2DTranspose(3, (3, 2), strides=(2, 3), padding="valid"),
    "transposed same": lambda: L.Conv2DTranspose(3, (3, 4), strides=(2, 1), padding="same", use_bias=False),
    "transposed small": lambda: L.Conv2DTranspose(3, 1, strides=2, padding="same"),
    "transposed dilated": lambda: L.Conv2DTranspose(3, 3, padding="valid", dilation_rate=2),
    "nearest": lambda: L.UpSampling2D((2, 3)),
    "bilinear": lambda: L.UpSampling2D(2, interpolation="bilinear"),
    "bilinear 3": lambda: L.UpSampling2D((3, 1), interpolation="bilinear"),
    "zero padding": lambda: L.ZeroPadding2D(((1, 0), (2, 3))),
    "cropping": lambda: L.Cropping2D(((1, 0), (2, 3))),
    "relu6": lambda: L.ReLU(6.0),
    "leaky": L.LeakyReLU,
    "softmax": L.Softmax,
    **{
        name: lambda name=name: L.Activation(name)
        for name in ("relu", "relu6", "elu", "gelu", "silu", "swish", "tanh", "sigmoid", "softmax", "softplus")
    },
}


@pytest.mark.parametrize("size", [(12, 12), (11, 9)], ids=["even", "odd"])
def test_every_picture_layer_agrees_with_keras(tmp_path, size):
    wrong = []
    for name, make in PICTURE_LAYERS.items():
        inputs = L.Input((*size, 3) if name != "reshape" else (*size[:1], 12, 3))
        model = keras.Model(inputs, make()(inputs))
        try:
            agree(tmp_path, model, (3, *inputs.shape[1:]), litert=False)
        except (AssertionError, CTError) as error:
            wrong.append(f"{name}: {error}")
    assert not wrong


@pytest.mark.parametrize(
    "layers",
    [
        [name for name in PICTURE_LAYERS if name.startswith("conv")][:4],
        ["depthwise", "separable", "max pool same", "batch norm", "relu6"],
        ["average pool same", "bilinear", "zero padding", "leaky", "global average keepdims"],
        ["transposed", "transposed same", "relu6"],
        ["nearest", "layer norm", "gelu", "silu", "softmax", "flatten", "dense"],
    ],
    ids=lambda names: names[0],
)
def test_litert_agrees_with_keras(tmp_path, layers):
    value = inputs = L.Input((17, 20, 3))
    for name in layers:
        value = PICTURE_LAYERS[name]()(value)
    agree(tmp_path, keras.Model(inputs, value), (5, 17, 20, 3))


SEQUENCE_LAYERS = {
    "conv": lambda: L.Conv1D(5, 3, padding="same"),
    "conv dilated": lambda: L.Conv1D(5, 3, dilation_rate=4, padding="same", activation="relu"),
    "conv causal": lambda: L.Conv1D(5, 3, dilation_rate=2, padding="causal"),
    "conv valid stride": lambda: L.Conv1D(5, 4, strides=2),
    "conv same stride": lambda: L.Conv1D(5, 4, strides=3, padding="same"),
    "depthwise": lambda: L.DepthwiseConv1D(3, padding="same"),
    "separable": lambda: L.SeparableConv1D(5, 3, padding="same"),
    "max pool": lambda: L.MaxPooling1D(3, strides=2, padding="same"),
    "average pool": lambda: L.AveragePooling1D(2),
    "transposed": lambda: L.Conv1DTranspose(4, 3, strides=2, padding="same"),
    "nearest": lambda: L.UpSampling1D(3),
    "global average": L.GlobalAveragePooling1D,
    "global max": L.GlobalMaxPooling1D,
    "zero padding": lambda: L.ZeroPadding1D((2, 1)),
    "cropping": lambda: L.Cropping1D((2, 1)),
    "layer norm": L.LayerNormalization,
    "dense": lambda: L.Dense(3),
}


@pytest.mark.parametrize("name", SEQUENCE_LAYERS)
def test_every_sequence_layer_agrees_with_keras_at_any_length(tmp_path, name):
    inputs = L.Input((None, 3))
    model = randomise(keras.Model(inputs, SEQUENCE_LAYERS[name]()(inputs)))
    export({"context": model}, tmp_path / "net", CARD, None)
    part = Model.load(tmp_path / "net").parts["context"]
    for length in (20, 33, 7):
        x = np.random.default_rng(length).normal(size=(2, length, 3)).astype(np.float32)
        np.testing.assert_allclose(part.predict(x), model(x, training=False), rtol=0, atol=1e-4)


def whole_network():
    """Residuals, gates, two uses of one value, a shared layer, an inner model, dropout, several outputs."""
    inputs = L.Input((21, 18, 2))
    x = L.GaussianNoise(0.1)(inputs)
    x = L.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(x)
    x = L.ReLU()(L.BatchNormalization()(x))
    shared = L.Conv2D(8, 3, padding="same")
    y = L.BatchNormalization()(shared(x))
    y = L.Add()([x, shared(L.Dropout(0.5)(y))])
    inner_in = L.Input((None, None, 8))
    inner = keras.Model(inner_in, L.Activation("silu")(L.SeparableConv2D(8, 3, padding="same")(inner_in)))
    gate = L.Dense(8, activation="sigmoid")(L.GlobalAveragePooling2D(keepdims=True)(y))
    z = L.Multiply()([inner(y), gate])
    before = L.Conv2D(6, 1)(L.Concatenate()([y, z]))  # an output that is also normalised must not be folded
    after = L.ReLU()(L.BatchNormalization()(before))
    features = L.Dense(7, activation="gelu")(L.Flatten()(after))
    place = L.Dense(2, activation="softmax")(features)
    return keras.Model(inputs, {"before": before, "features": features, "place": place})


def test_a_whole_network_agrees_in_all_engines_and_outputs(tmp_path):
    model = randomise(whole_network())
    export({"encoder": model}, tmp_path / "net", CARD, batch=4)
    x = np.random.default_rng(5).normal(size=(10, 21, 18, 2)).astype(np.float32)
    expected = model(x, training=False)
    for engine in ("numpy", "litert"):
        loaded = Model.load(tmp_path / "net", engine)
        assert loaded.engine == engine
        got = loaded.parts["encoder"].predict(x)
        assert set(got) == {"before", "features", "place"}
        for name, value in expected.items():
            np.testing.assert_allclose(got[name], value, rtol=0, atol=1e-4, err_msg=f"{engine} {name}")


def test_several_inputs(tmp_path):
    first, second = L.Input((None, 3)), L.Input((None, 1))
    model = randomise(keras.Model([first, second], L.Conv1D(4, 3, padding="same")(L.Concatenate()([first, second]))))
    export({"context": model}, tmp_path / "net", CARD, None)
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(1, 9, size)).astype(np.float32) for size in (3, 1)]
    np.testing.assert_allclose(Model.load(tmp_path / "net").parts["context"].predict(x), model(x), atol=1e-5)


def test_batch_norm_and_activations_are_folded(tmp_path):
    inputs = L.Input((8, 8, 2))
    x = inputs
    for _ in range(3):
        x = L.ReLU()(L.BatchNormalization()(L.Conv2D(4, 3, use_bias=False)(x)))
    export({"encoder": randomise(keras.Model(inputs, x))}, tmp_path / "net", CARD, None)
    with np.load(tmp_path / "net.npz") as archive:
        graph = json.loads(archive["graph"].tobytes())
    nodes = graph["parts"]["encoder"]["nodes"]
    assert [(node["op"], node["attributes"]["activation"]) for node in nodes] == [("conv", "relu")] * 3


def test_the_same_weights_give_the_same_bytes(tmp_path):
    """Also of a second network: the names of its layers count on from those of the first."""
    first, second = randomise(whole_network()), whole_network()
    second.set_weights(first.get_weights())
    cards = [export({"encoder": model}, tmp_path / name / "net", CARD) for name, model in zip("ab", (first, second))]
    assert cards[0] == cards[1]
    for ending in (".npz", ".tflite", ".json"):
        assert (tmp_path / "a" / f"net{ending}").read_bytes() == (tmp_path / "b" / f"net{ending}").read_bytes()


def test_the_card_says_what_was_given_and_more(tmp_path):
    card = export({"encoder": randomise(whole_network())}, tmp_path / "net.v1", CARD)
    read = Model.load(tmp_path / "net.v1").card
    assert read == card
    assert CARD.items() <= read.items()
    assert read["schema"] == "ct-model/1"
    assert read["name"] == "net.v1"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.v1.json", "net.v1.npz", "net.v1.tflite"]


@pytest.mark.parametrize(
    "layer",
    [
        lambda: L.Conv2D(4, 3, groups=2),
        lambda: L.BatchNormalization(axis=1),
        lambda: L.ReLU(5.0),
        lambda: L.Activation("selu"),
        lambda: L.Lambda(lambda x: x + 1),
        lambda: L.Conv2DTranspose(3, 3, strides=2, output_padding=1),
        lambda: L.UpSampling2D(2, interpolation="bicubic"),
        lambda: lambda x: keras.ops.add(x, 1.0),
    ],
)
def test_what_cannot_be_exported_is_said_and_nothing_is_written(tmp_path, layer):
    inputs = L.Input((8, 8, 2))
    with pytest.raises(CTError) as caught:
        export({"encoder": keras.Model(inputs, layer()(inputs))}, tmp_path / "net", CARD, None)
    assert caught.value.code == "unsupported_layer"
    assert not list(tmp_path.iterdir())


def test_a_conversion_that_differs_is_not_written(tmp_path, monkeypatch):
    from CTVolumeLib import network_graph as module

    fold = module._fold
    monkeypatch.setattr(module, "_fold", lambda node, scale, shift: fold(node, scale, shift + 0.01))
    with pytest.raises(CTError) as caught:
        export({"encoder": randomise(whole_network())}, tmp_path / "net", CARD, None)
    assert caught.value.code == "export_differs"
    assert not list(tmp_path.iterdir())


def test_auto_falls_back_to_numpy_and_logs_it(tmp_path, caplog):
    model = randomise(whole_network())
    export({"encoder": model}, tmp_path / "net", CARD, batch=4)
    assert Model.load(tmp_path / "net").engine == "litert"
    tflite = tmp_path / "net.tflite"
    tflite.write_bytes(tflite.read_bytes()[:-1] + b"x")
    with caplog.at_level(logging.INFO):
        assert Model.load(tmp_path / "net").engine == "numpy"
    assert "does not belong to its card" in caplog.text
    with pytest.raises(CTError) as caught:
        Model.load(tmp_path / "net", "litert")
    assert caught.value.code == "bad_model"
    assert caught.value.hint
