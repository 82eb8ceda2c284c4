"""Networks kept with 16 bits: half the space, nearly the same answers, and the same ones in every engine."""

from __future__ import annotations

import numpy as np
import pytest
from CTVolumeLib.inference import Model

keras = pytest.importorskip("keras")
from CTVolumeLib.network_export import export  # noqa: E402
from CTVolumeLib.network_halving import halve, stored  # noqa: E402
from keras import layers as L  # noqa: E402, N812


def network() -> keras.Model:
    """A convolution and a dense layer, each with batch norm as after a training."""
    inputs = L.Input((16, 16, 2))
    x = L.Activation("relu")(L.BatchNormalization()(L.Conv2D(8, 3, padding="same", use_bias=False)(inputs)))
    x = L.MaxPooling2D()(x)
    x = L.Activation("relu")(L.BatchNormalization()(L.Dense(24, use_bias=False)(L.Flatten()(x))))
    model = keras.Model(inputs, {"a": L.Dense(3)(x), "b": L.Dense(40)(x)})
    rng = np.random.default_rng(0)
    for layer in model.layers:
        uniform = isinstance(layer, L.BatchNormalization)
        layer.set_weights([
            rng.uniform(0.5, 1.5, weight.shape) if uniform else rng.normal(0, 0.1, weight.shape)
            for weight in layer.weights
        ])  # fmt: skip
    return model


X = np.random.default_rng(1).normal(size=(5, 16, 16, 2)).astype(np.float32)


def test_rounding_changes_the_answers_by_no_more_than_rounding() -> None:
    model = network()
    before = {name: np.asarray(value) for name, value in model(X).items()}
    halve(model)
    for name, value in model(X).items():
        off = np.abs(np.asarray(value) - before[name])
        assert 0 < off.max() < 0.01
    kernel = np.asarray(model.layers[1].kernel)
    np.testing.assert_array_equal(kernel, kernel.astype(np.float16))


def test_files_are_half_as_large_and_engines_agree(tmp_path) -> None:
    whole = network()
    export({"encoder": whole}, tmp_path / "whole", {}, batch=2)
    model = network()
    export({"encoder": model}, tmp_path / "half", {}, batch=2, half=True)
    expected = model(X)
    for engine in ("numpy", "litert"):
        if engine == "litert":
            pytest.importorskip("ai_edge_litert")
        part = Model.load(tmp_path / "half", engine).parts["encoder"]
        for name, value in part.predict(X).items():
            np.testing.assert_allclose(value, expected[name], atol=1e-4)
    for ending in (".npz", ".tflite"):
        sizes = [(tmp_path / f"{name}{ending}").stat().st_size for name in ("half", "whole")]
        assert sizes[0] < 0.75 * sizes[1]


def test_only_what_fits_is_kept_with_16_bits() -> None:
    fits, fits_not = np.array([0.5, -3.0], np.float32), np.array([0.1, 1e6], np.float32)
    assert stored(fits).dtype == np.float16
    assert stored(fits_not).dtype == np.float32
