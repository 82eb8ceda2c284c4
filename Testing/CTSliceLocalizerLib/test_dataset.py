"""Training examples of series of which only locations are known: no landmark is claimed that nobody has seen."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from CTSliceLocalizerLib import convert, dataset, store, truths
from CTSliceLocalizerLib.landmarks import NAMES
from support_tree import locations, tree


def test_locations_alone_say_which_landmarks_are_far_and_of_the_others_nothing(tmp_path):
    planted = tree(tmp_path / "tree", 1)
    (planted[0].folder / "labels.json").unlink()
    locations(planted, tmp_path / "locations.json")
    convert.convert(tmp_path / "tree", tmp_path / "store", truths.find(tmp_path / "tree", tmp_path / "locations.json"))
    names = [entry.name for entry in store.read_index(tmp_path / "store").series]
    (scan,) = dataset.from_store(tmp_path / "store", names)
    assert not scan.annotations
    _, soft, weight, landmarks, _ = dataset.make_example(scan, 20, np.random.default_rng(0), None)
    assert np.all(weight > 0.5)
    np.testing.assert_allclose(soft.sum(axis=-1), 1, atol=1e-5)
    assert not landmarks[:-1].any(), "nobody has said where they are"
    told = {name for name, absent in zip(NAMES, landmarks[-1]) if absent}
    assert "Head of femur" in told, "the stretch ends in the lower chest"
    assert not told & {"Aortic arch", "Bifurcation of trachea", "Right dome of diaphragm"}, "these may well be there"
