"""The numpy engine by hand-made models, and every kind of model file that must be refused."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import threading
import zipfile

import numpy as np
import pytest
from CTVolumeLib import blas, inference
from CTVolumeLib.errors import CTError
from CTVolumeLib.inference import CARD_SCHEMA, GRAPH_SCHEMA, Model

RNG = np.random.default_rng(0)
CONV = {"stride": [1, 1], "dilation": [1, 1], "padding": "same", "activation": "relu"}


def a_graph():
    """A picture network with two outputs, and a sequence network."""
    encoder = {
        "inputs": [{"name": "x", "shape": [8, 8, 2]}],
        "nodes": [
            {"name": "a", "op": "conv", "inputs": ["x"], "weights": ["k", "b"], "attributes": dict(CONV)},
            {"name": "f", "op": "global_average", "inputs": ["a"]},
            {"name": "d", "op": "dense", "inputs": ["f"], "weights": ["dk", "db"]},
        ],
        "outputs": [["features", "f"], ["place", "d"]],
    }
    context = {
        "inputs": [{"name": "x", "shape": [None, 3]}],
        "nodes": [{"name": "c", "op": "conv", "inputs": ["x"], "weights": ["ck", "cb"],
                   "attributes": {**CONV, "dilation": [1, 2], "activation": "linear"}}],
        "outputs": [["output", "c"]],
    }  # fmt: skip
    return {"schema": GRAPH_SCHEMA, "parts": {"encoder": encoder, "context": context}}


def some_weights():
    shapes = {"k": (3, 3, 2, 3), "b": (3,), "dk": (3, 1), "db": (1,), "ck": (1, 3, 3, 4), "cb": (4,)}
    return {name: RNG.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def write(folder, graph=None, weights=None, card=None, data=None, name="net"):
    """Write a model and a card that fits it; returns the path of the .npz."""
    graph = a_graph() if graph is None else graph
    if data is None:
        buffer = io.BytesIO()
        encoded = np.frombuffer(json.dumps(graph).encode(), np.uint8)
        np.savez(buffer, graph=encoded, **(some_weights() if weights is None else weights))
        data = buffer.getvalue()
    path = folder / f"{name}.npz"
    path.write_bytes(data)
    plain = {"schema": CARD_SCHEMA, "name": name, "sha256": {"npz": hashlib.sha256(data).hexdigest()}}
    path.with_suffix(".json").write_text(json.dumps({**plain, **(card or {})}))
    return path


def refused(path, engine="numpy"):
    with pytest.raises(CTError) as caught:
        Model.load(path, engine)
    assert caught.value.hint
    return caught.value


def test_convolution_by_the_definition(tmp_path):
    weights = some_weights()
    x = RNG.normal(size=(5, 8, 8, 2)).astype(np.float32)
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    expected = np.zeros((5, 8, 8, 3))
    for row in range(8):
        for column in range(8):
            window = padded[:, row : row + 3, column : column + 3]
            expected[:, row, column] = np.einsum("nyxc,yxco->no", window, weights["k"]) + weights["b"]
    features = np.maximum(expected, 0).mean(axis=(1, 2))
    got = Model.load(write(tmp_path, weights=weights), "numpy").parts["encoder"].predict(x)
    np.testing.assert_allclose(got["features"], features, atol=1e-5)
    np.testing.assert_allclose(got["place"], features @ weights["dk"] + weights["db"], atol=1e-5)


def test_chunks_and_threads_do_not_change_the_result(tmp_path, monkeypatch):
    part = Model.load(write(tmp_path), "numpy").parts["encoder"]
    x = RNG.normal(size=(23, 8, 8, 2)).astype(np.float32)
    whole = {name: np.concatenate([part.predict(x[k : k + 1])[name] for k in range(23)]) for name in part.predict(x)}
    for cache, count in ((1, 1), (1, 3), (2**15, 2), (2**30, 1)):
        monkeypatch.setattr(inference, "_CACHE", cache)
        monkeypatch.setattr(inference, "threads", lambda count=count: count)
        for name, value in part.predict(x).items():
            np.testing.assert_allclose(value, whole[name], atol=1e-6)


def test_any_real_type_any_length_and_none_at_all(tmp_path):
    parts = Model.load(write(tmp_path), "numpy").parts
    whole = RNG.integers(-1000, 1000, (3, 8, 8, 2)).astype(np.int16)
    np.testing.assert_array_equal(
        parts["encoder"].predict(whole)["place"], parts["encoder"].predict(whole.astype(float))["place"]
    )
    assert parts["encoder"].predict(np.zeros((0, 8, 8, 2)))["features"].shape == (0, 3)
    for length in (1, 2, 300):
        assert parts["context"].predict(np.zeros((1, length, 3))).shape == (1, length, 4)


@pytest.mark.parametrize("shape", [(2, 8, 8, 3), (2, 8, 9, 2), (8, 8, 2), (1, 2, 8, 8, 2)])
def test_a_wrong_shape_is_said(tmp_path, shape):
    part = Model.load(write(tmp_path), "numpy").parts["encoder"]
    with pytest.raises(CTError, match="takes inputs of the shape"):
        part.predict(np.zeros(shape))


def test_progress_counts_up_to_the_end_and_can_cancel(tmp_path, monkeypatch):
    monkeypatch.setattr(inference, "_CACHE", 1)
    part = Model.load(write(tmp_path), "numpy").parts["encoder"]
    calls = []
    part.predict(np.zeros((4, 8, 8, 2)), lambda done, total, text: calls.append((done, total)) or True)
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
    with pytest.raises(CTError) as caught:
        part.predict(np.zeros((4, 8, 8, 2)), lambda done, total, text: done < 2)
    assert caught.value.code == "cancelled"


def test_the_input_stays_as_it_was(tmp_path):
    graph = a_graph()
    graph["parts"]["encoder"]["nodes"].insert(
        0, {"name": "r", "op": "reshape", "inputs": ["x"], "attributes": {"shape": [8, 8, 2], "activation": "relu"}}
    )
    x = RNG.normal(size=(3, 8, 8, 2)).astype(np.float32)
    before = x.copy()
    Model.load(write(tmp_path, graph), "numpy").parts["encoder"].predict(x)
    np.testing.assert_array_equal(x, before)


def test_multiplications_are_counted(tmp_path):
    parts = Model.load(write(tmp_path), "numpy").parts
    assert parts["encoder"].macs() == 8 * 8 * 9 * 2 * 3 + 3
    assert parts["context"].macs(10, 3) == 10 * 3 * 3 * 4


def test_name_card_and_checksum(tmp_path):
    path = write(tmp_path, card={"seed": 7}, name="net.v2")
    for given in (path, str(path), tmp_path / "net.v2"):
        model = Model.load(given, "auto")
        assert (model.name, model.card["seed"], model.engine) == ("net.v2", 7, "numpy")
        assert model.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_missing_files(tmp_path):
    assert refused(tmp_path / "none").code == "no_model"
    path = write(tmp_path)
    path.with_suffix(".json").unlink()
    assert refused(path).code == "bad_model"
    assert refused(tmp_path).code == "no_model"


def test_an_unknown_engine_is_refused(tmp_path):
    assert refused(write(tmp_path), "onnx").code == "bad_engine"


def test_litert_without_its_file_is_said(tmp_path):
    assert refused(write(tmp_path), "litert").code == "no_litert"


def test_without_litert_installed_it_falls_back_or_says_so(tmp_path, monkeypatch):
    data = b"a model for LiteRT"
    path = write(tmp_path)
    card = json.loads(path.with_suffix(".json").read_text())
    card["sha256"]["tflite"] = hashlib.sha256(data).hexdigest()
    card["litert"] = {"part": "encoder"}
    path.with_suffix(".json").write_text(json.dumps(card))
    path.with_suffix(".tflite").write_bytes(data)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    assert Model.load(path, "auto").engine == "numpy"
    error = refused(path, "litert")
    assert error.code == "no_litert"
    assert "ai-edge-litert" in error.hint


def test_a_file_that_litert_refuses_is_said(tmp_path):
    pytest.importorskip("ai_edge_litert")
    test_data = b"a model for LiteRT, it is not"
    path = write(tmp_path, card={"litert": {"part": "encoder"}})
    card = json.loads(path.with_suffix(".json").read_text())
    card["sha256"]["tflite"] = hashlib.sha256(test_data).hexdigest()
    path.with_suffix(".json").write_text(json.dumps(card))
    path.with_suffix(".tflite").write_bytes(test_data)
    assert Model.load(path, "auto").engine == "numpy"
    assert refused(path, "litert").code == "bad_model"


def test_damaged_files_are_refused(tmp_path):
    path = write(tmp_path)
    good = path.read_bytes()
    card = path.with_suffix(".json").read_text()
    for damaged in (b"", good[: len(good) // 2], good[:-1], RNG.bytes(2000), b"PK" + RNG.bytes(2000)):
        path.write_bytes(damaged)
        path.with_suffix(".json").write_text(card)
        assert "damaged" in refused(path).message  # by its checksum
        write(tmp_path, data=damaged)
        assert refused(path).code == "bad_model"  # by itself, with a card that fits


def test_any_flipped_byte_is_noticed(tmp_path):
    path = write(tmp_path)
    good = path.read_bytes()
    for place in RNG.integers(0, len(good), 20):
        path.write_bytes(good[:place] + bytes([good[place] ^ 0x10]) + good[place + 1 :])
        assert refused(path).code == "bad_model"


def test_a_flipped_byte_under_a_fitting_card_is_refused_or_harmless(tmp_path):
    good = write(tmp_path).read_bytes()
    for place in RNG.integers(0, len(good), 150):
        path = write(tmp_path, data=good[:place] + bytes([good[place] ^ 0x55]) + good[place + 1 :])
        try:
            Model.load(path, "numpy")
        except CTError as error:
            assert error.code == "bad_model"  # noqa: PT017


def test_the_card_of_another_model_is_refused(tmp_path):
    first = write(tmp_path, name="first")
    second = write(tmp_path, name="second")
    first.with_suffix(".json").write_text(second.with_suffix(".json").read_text())
    error = refused(first)
    assert error.code == "bad_model"
    assert "another model" in error.message


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"schema": "ct-model/2"}', '{"schema": "ct-model/1"}', "[" * 100000,
     '{"schema": "ct-model/1", "name": "net", "sha256": "abc"}', "\udcff"],
)  # fmt: skip
def test_a_bad_card_is_refused(tmp_path, text):
    path = write(tmp_path)
    path.with_suffix(".json").write_bytes(text.encode("utf-8", "surrogateescape"))
    error = refused(path)
    assert error.code == "bad_model"
    assert "net.json" in error.message


def change(path, value):
    """A graph with one thing in it replaced."""
    graph = a_graph()
    place = graph
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return graph


NODE = ("parts", "encoder", "nodes", 0)


@pytest.mark.parametrize(
    ("graph", "reason"),
    [
        (change(("schema",), "ct-graph/9"), "ct-graph/9"),
        (change(("parts",), {}), "no network"),
        (change(("parts",), 3), "no network"),
        (change((*NODE, "op"), "os.system"), "does not know"),
        (change((*NODE, "op"), ["conv"]), "does not fit"),
        (change((*NODE, "inputs"), ["nowhere"]), "nowhere"),
        (change((*NODE, "inputs"), []), "no input"),
        (change((*NODE, "name"), "x"), "twice"),
        (change((*NODE, "weights"), ["k"]), "does not fit"),
        (change((*NODE, "weights"), ["k", "none"]), "none"),
        (change((*NODE, "attributes"), {**CONV, "activation": "exec"}), "exec"),
        (change((*NODE, "attributes"), {**CONV, "dilation": [10**9, 1]}), "dilation"),
        (change((*NODE, "attributes"), {**CONV, "stride": [0, 1]}), "stride"),
        (change((*NODE, "attributes"), {**CONV, "padding": [[10**9, 0], [0, 0]]}), "padding"),
        (change((*NODE, "attributes"), {**CONV, "padding": "reflect"}), "padding"),
        (change((*NODE, "attributes"), {}), "padding"),
        (change(("parts", "encoder", "inputs", 0, "shape"), [8, 8, 3]), "kernel"),
        (change(("parts", "encoder", "inputs", 0, "shape"), [10**9, 8, 2]), "size"),
        (change(("parts", "encoder", "outputs"), [["place", "nothing"]]), "nothing"),
        (change(("parts", "encoder", "outputs"), []), "no inputs or no outputs"),
    ],
)  # fmt: skip
def test_a_graph_that_is_wrong_is_refused(tmp_path, graph, reason):
    error = refused(write(tmp_path, graph))
    assert error.code == "bad_model"
    assert reason in error.message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("k", np.zeros((3, 3, 4, 3), np.float32)),
        ("k", np.zeros((3, 3), np.float32)),
        ("b", np.zeros(5, np.float32)),
        ("b", np.full(3, np.nan, np.float32)),
        ("dk", np.full((3, 1), np.inf, np.float32)),
        ("db", np.zeros(1)),
        ("db", np.array(["text"])),
    ],
)
def test_wrong_weights_are_refused(tmp_path, name, value):
    assert refused(write(tmp_path, weights={**some_weights(), name: value})).code == "bad_model"


def test_arrays_that_are_no_network_are_refused(tmp_path):
    buffer = io.BytesIO()
    np.savez(buffer, image=np.zeros((3, 3)), label=np.ones(2))
    assert "no network" in refused(write(tmp_path, data=buffer.getvalue())).message


def test_nothing_is_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was executed",))

    buffer = io.BytesIO()
    np.savez(buffer, graph=np.array([Trap()], dtype=object))
    assert refused(write(tmp_path, data=buffer.getvalue())).code == "bad_model"


def test_a_file_that_unpacks_to_far_too_much_is_refused(tmp_path, monkeypatch):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.npy", bytes(10**6))
    monkeypatch.setattr(inference, "_LARGEST_FILE", 10**5)
    assert "far larger" in refused(write(tmp_path, data=buffer.getvalue())).message


def test_importing_is_light():
    code = "import sys, CTVolumeLib.inference; print([name for name in sys.modules if '.' not in name])"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for heavy in ("tensorflow", "keras", "ai_edge_litert", "scipy", "SimpleITK", "pydicom"):
        assert f"'{heavy}'" not in modules


def test_threads_of_blas_come_back(monkeypatch):
    functions = blas._openblas()
    if functions is None:
        pytest.skip("numpy has no OpenBLAS of its own here")
    get, set_to = functions
    set_to(2)
    with blas.one_thread_each() as done:
        assert done
        with blas.one_thread_each():
            assert get() == 1
        assert get() == 1
    assert get() == 2
    with pytest.raises(RuntimeError), blas.one_thread_each():
        raise RuntimeError
    assert get() == 2


def test_two_runs_at_once_give_right_results(tmp_path):
    part = Model.load(write(tmp_path), "numpy").parts["encoder"]
    x = RNG.normal(size=(64, 8, 8, 2)).astype(np.float32)
    expected, results = part.predict(x)["place"], []
    runs = [threading.Thread(target=lambda: results.append(part.predict(x)["place"])) for _ in range(4)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    for result in results:
        np.testing.assert_allclose(result, expected, atol=1e-6)


@pytest.mark.parametrize(("variables", "count"), [({"OMP_NUM_THREADS": "3"}, 3), ({"OPENBLAS_NUM_THREADS": "1"}, 1)])
def test_limits_of_the_surroundings_are_kept(monkeypatch, variables, count):
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    assert blas.threads() >= 1
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert blas.threads() == count
