"""Probabilities that mean what they say."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, logsumexp


def fit_temperature(outputs: np.ndarray, targets: np.ndarray) -> float:
    """Find the temperature T for which probabilities of ``outputs / T`` suit the targets best (Guo et al. 2017).

    Parameters
    ----------
    outputs : ndarray
        Logits of held-out sequences [n, k].
    targets : ndarray
        Their class numbers [n], or 0 and 1 for each class [n, k].

    Returns
    -------
    float
        The T between 0.05 and 20 with the least cross-entropy.

    References
    ----------
    C. Guo et al., "On calibration of modern neural networks", ICML 2017, section 4.2.
    """
    outputs = outputs.astype(np.float64)

    def cross_entropy(logarithm: float) -> float:
        scaled = outputs / np.exp(logarithm)
        if targets.ndim == 1:
            chosen = scaled[np.arange(len(targets)), targets]
            return float(np.mean(logsumexp(scaled, axis=1) - chosen))
        right = expit(np.where(targets > 0.5, scaled, -scaled))
        return float(-np.log(np.maximum(right, 1e-300)).mean())

    found = minimize_scalar(cross_entropy, bounds=(np.log(0.05), np.log(20.0)), method="bounded")
    return float(np.exp(found.x))
