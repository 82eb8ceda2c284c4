"""K-means on the histogram: against trying all partitions, and against scikit-learn on voxels."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from HeadrestRemovalLib import kmeans


def cost_of(values, counts, centres) -> float:
    return float((counts * ((values[:, None] - centres[None, :]) ** 2).min(axis=1)).sum())


@pytest.mark.parametrize("number", [2, 3, 4])
def test_no_other_partition_is_better(number):
    rng = np.random.default_rng(number)
    values = np.sort(rng.normal(0, 300, 11))
    counts = rng.integers(1, 50, 11)
    best = np.inf
    for cuts in combinations(range(1, 11), number - 1):
        parts = [slice(a, b) for a, b in pairwise((0, *cuts, 11))]
        centres = np.array([np.average(values[part], weights=counts[part]) for part in parts])
        best = min(best, cost_of(values, counts, centres))
    found = kmeans.classes(values, counts, number)
    assert len(found) == number
    assert (np.diff(found) > 0).all()
    assert cost_of(values, counts, found) == pytest.approx(best)


def test_it_agrees_with_k_means_on_the_voxels():
    from sklearn.cluster import KMeans

    rng = np.random.default_rng(1)
    parts = [rng.normal(hu, spread, size) for hu, spread, size in ((-1000, 20, 4000), (-100, 25, 1500), (60, 25, 2500))]
    hu = np.rint(np.concatenate(parts))
    found = kmeans.classes(*kmeans.histogram(kmeans.counts(hu)), 3)
    other = np.sort(KMeans(3, n_init=5, random_state=0).fit(hu[:, None]).cluster_centers_.ravel())
    assert np.abs(found - other).max() < kmeans.BIN_HU


def test_the_histogram_counts_every_voxel_also_outside_its_range():
    hu = np.array([[-3000, -1000, -999], [40, 41, 9000]], np.int16)
    centres, counts = kmeans.histogram(kmeans.counts(hu))
    assert counts.sum() == hu.size
    assert counts[0] == 1
    assert counts[-1] == 1
    assert counts[np.abs(centres - 41).argmin()] == 2


def test_fewer_values_than_classes():
    assert kmeans.classes(np.array([-1000.0, 0.0, 40.0]), np.array([5, 0, 2]), 5).tolist() == [-1000, 40]


@pytest.mark.parametrize(
    ("centres", "wanted"),
    [((-1000, -700, 20, 400), -340), ((-1000, -650, -100, 30), -280), ((-1000, 0), -420), ((40, 900), -420)],
)
def test_the_threshold_lies_between_foam_and_tissue(centres, wanted):
    assert kmeans.tissue_threshold(np.array(centres, float)) == wanted


def test_percentiles_from_counts():
    hu = np.rint(np.random.default_rng(4).normal(-300, 200, 5000))
    for percent in (0.5, 40, 99.5):
        found = kmeans.percentile(kmeans.counts(hu), percent)
        assert found == np.percentile(hu, percent, method="inverted_cdf")
