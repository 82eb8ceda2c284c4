"""K-means on HU, exact: a histogram of a scan has some hundred bins, so that the best classes can be found directly.

K-means in one dimension parts the sorted values into runs, and the best runs come from dynamic programming (Wang and
Song, The R Journal 3:29, 2011). The result has no random start, and costs nothing next to reading the scan.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

BIN_HU = 8
LOWEST_HU, HIGHEST_HU = -1104, 1496
"""What lies outside counts in the first and last bin: metal would else make classes of its own."""


def counts(hu: np.ndarray) -> np.ndarray:
    """(n,) how often each whole HU from ``LOWEST_HU`` on occurs.

    Args:
        hu: HU of any shape, whole numbers.
    """
    size = HIGHEST_HU - LOWEST_HU
    return np.bincount((np.clip(hu, LOWEST_HU, HIGHEST_HU - 1).astype(np.int16) - LOWEST_HU).ravel(), minlength=size)


def percentile(each: np.ndarray, percent: float) -> float:
    """HU up to which so much of a scan lies.

    Args:
        each: ``counts`` of the scan.
        percent: of it.
    """
    return float(LOWEST_HU + np.searchsorted(each.cumsum(), percent / 100 * each.sum()))


def histogram(each: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) centres of the bins in HU and how many values lie in each.

    Args:
        each: ``counts`` of the scan.
    """
    binned = each.reshape(-1, BIN_HU).sum(axis=1)
    return LOWEST_HU + BIN_HU * (np.arange(len(binned)) + 0.5), binned


def classes(values: np.ndarray, counts: np.ndarray, number: int) -> np.ndarray:
    """(number,) or fewer centres of the classes with the least sum of squared distances, ascending.

    Args:
        values: (n,) ascending.
        counts: (n,) how often each occurs.
        number: of classes; fewer come back where there are fewer values.
    """
    used = counts > 0
    values, counts = values[used].astype(float), counts[used].astype(float)
    size = len(values)
    if size <= number:
        return values
    weight, first, second = (np.concatenate([[0.0], np.cumsum(counts * values**power)]) for power in (0, 1, 2))
    start, stop = np.arange(size)[:, None], np.arange(1, size + 1)[None, :]
    inside = stop > start
    total = np.where(inside, weight[stop] - weight[start], 1.0)
    # cost[a, b]: sum of squares about the mean of the values a to b
    cost = second[stop] - second[start] - (first[stop] - first[start]) ** 2 / total
    cost[~inside] = np.inf
    best, cuts = cost[0], []
    for _ in range(number - 1):
        before = np.concatenate([[np.inf], best[:-1]])  # best of all that lies before the start of the last class
        total_cost = before[:, None] + cost
        cuts.append(total_cost.argmin(axis=0))
        best = total_cost.min(axis=0)
    edges = [size]
    for cut in reversed(cuts):
        edges.insert(0, int(cut[edges[0] - 1]))
    edges.insert(0, 0)
    return np.array([(first[b] - first[a]) / (weight[b] - weight[a]) for a, b in pairwise(edges)])


def tissue_threshold(centres: np.ndarray) -> float:
    """HU half-way between the class of soft tissue and the class below it, within what can be either.

    Args:
        centres: (k,) of the classes, ascending.
    """
    low, high = -420.0, -280.0
    soft = int(np.argmin(np.abs(centres - 20)))
    if soft == 0:
        return low
    return float(np.clip((centres[soft - 1] + centres[soft]) / 2, low, high))
