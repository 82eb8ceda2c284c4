"""Which method is used, and that progress goes on from the first to the second."""

from __future__ import annotations

import numpy as np
import pytest
from CTVolumeLib.errors import CTError
from HeadrestRemovalLib import cluster, equipment, prediction
from HeadrestRemovalLib.results import EquipmentResult
from support_trunk import scan, table, trunk


@pytest.fixture
def volume():
    return scan(draw=(table, trunk))[0]


def predicted(volume, first=None, progress=None):
    if progress:
        progress(1, 4, "network")
    return EquipmentResult(np.zeros(volume.array.shape, np.uint8), "network" if first is None else "both")


def test_methods(volume, monkeypatch):
    monkeypatch.setattr(prediction, "label", predicted)
    assert equipment.find(volume, "clustering").method == "clustering"
    assert equipment.find(volume, "network").method == "network"
    assert equipment.find(volume, "both").method == "both"
    assert equipment.find(volume).method == equipment.find(volume, equipment.BEST).method


def test_the_network_gets_what_clustering_found(volume, monkeypatch):
    given = []
    monkeypatch.setattr(prediction, "label", lambda volume, first, progress: given.append(first) or first)
    equipment.find(volume, "both")
    assert np.array_equal(given[0].labels, cluster.label(volume).labels)


def test_progress_of_both_is_one_bar(volume, monkeypatch):
    monkeypatch.setattr(prediction, "label", predicted)
    told = []
    equipment.find(volume, "both", lambda done, total, text: told.append(done / total) or True)
    assert told[0] == 0
    assert told == sorted(told)
    assert told[-1] == 0.625


@pytest.mark.parametrize("method", ["network", "both", "clustering"])
def test_no_method_takes_what_is_no_ct(volume, method, monkeypatch):
    monkeypatch.setattr(prediction, "label", predicted)
    with pytest.raises(CTError) as caught:
        equipment.find(volume.with_array((volume.array + 1024).clip(0)), method)
    assert caught.value.code == "not_ct"


def test_an_unknown_method(volume):
    with pytest.raises(CTError, match="no method"):
        equipment.find(volume, "magic")
