"""The bins of the body coordinate over which the networks give their distributions."""

from __future__ import annotations

import numpy as np

BIN_MM = 12.0
BIN_CENTRES = np.arange(-84.0, 1009.0, BIN_MM)
"""(92,) body coordinate in mm of each bin: from above the vertex to mid-thigh."""


def soft_bins(body_mm: np.ndarray, sigma_mm: np.ndarray) -> np.ndarray:
    """Targets for the distributions: a normal density over the bins for each slice.

    Args:
        body_mm: (...) true body coordinate.
        sigma_mm: (...) how well it is known.

    Returns:
        (..., bins) float32 that sum to 1.
    """
    distance = (BIN_CENTRES - np.asarray(body_mm)[..., None]) / np.asarray(sigma_mm)[..., None]
    weights = np.exp(-0.5 * np.minimum(distance**2, 60.0))
    return (weights / weights.sum(axis=-1, keepdims=True)).astype(np.float32)


def mean_and_sigma(log_probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the body coordinate.

    Args:
        log_probability: (..., bins) logits or log-probabilities.
    """
    weights = np.exp(log_probability - log_probability.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    mean = weights @ BIN_CENTRES
    return mean, np.sqrt(np.maximum(weights @ BIN_CENTRES**2 - mean**2, 0.0))
