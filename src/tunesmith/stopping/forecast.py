"""What a learning curve will come to: a forecast that has learnt from the other curves of a study.

    yᵢ = c + a φₛ(tᵢ) + d (1 - tᵢ/T) + w(tᵢ) + εᵢ

    φₛ      one of the shapes of `families`, 0 at T: so c is the curve at its end
    d       a straight rise or fall, for curves that get worse again, or have not settled at T
    β       (c, a, d) ~ N(μ, Σ)
    w       what all this does not explain: a random walk in log t, of variance λ σ² κ log(t/t0)
    ε       noise, of variance σ² κ / mᵢ for the mean of mᵢ measurements
    κ       how much rougher than others the curve is

Each curve has its shape s and roughness κ, with probabilities that are the same for all curves of the
study. They, μ, Σ and σ² are learnt from curves that have ended by expectation maximisation, which is
empirical Bayes: with s and κ given, all is linear and Gaussian. λ is the best of a few values. What is
forecast is a mixture of normals, one for each s and κ.

Swersky, Snoek and Adams (2014) and Klein et al. (2017) forecast by processes and networks; what is here is
nearest to Domhan, Springenberg and Hutter (2015), with integrals in place of Monte Carlo.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from tunesmith.model import Series
from tunesmith.stopping.binned import Sums, Units, binned
from tunesmith.stopping.families import COUNT
from tunesmith.stopping.peers import Array, Peers

__all__ = ["Forecast", "Known", "forecast", "guess", "learn"]

_ROUGHNESS = np.array([0.1, 1.0, 10.0])  # κ
_WALKS = (0.0, 0.3, 2.0, 12.0)  # λ
_JUDGES_OF_WALKS = 12  # so many curves choose among them
_FIRST_STEPS, _LAST_STEPS = 4, 6  # of the maximisation: after ten nothing moves that matters

# What is believed before any curve is seen, in the units of the model, and for how many curves it counts.
_MEAN = np.array([0.0, 1.0, 0.0])
_COVARIANCE = np.diag([1.0, 1.0, 0.1])
_NOISE = 0.01
_COUNTS_FOR = 3.0
_SHARE_COUNTS_FOR = 0.1  # likewise, of each shape and each roughness
_UNSURE = 4.0  # J curves leave Σ itself unsure: it is taken to be 1 + 4/J times as large


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What is known of a study's curves.

    Attributes:
        units: How the model sees them.
        mean: μ, ``(3,)``.
        covariance: Σ, ``(3, 3)``.
        noise: σ².
        walk: λ.
        shares: The probability of each shape, ``(S,)``.
        roughness: The probability of each κ, ``(M,)``.
    """

    units: Units
    mean: Array
    covariance: Array
    noise: float
    walk: float
    shares: Array
    roughness: Array


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """A mixture of normals, in units of the model.

    Attributes:
        units: Those.
        weights: How probable each is, ``(n,)``.
        means: Their means, ``(n,)``.
        deviations: Their standard deviations, ``(n,)``.
    """

    units: Units
    weights: Array
    means: Array
    deviations: Array

    @property
    def mean(self) -> float:
        """The expected loss."""
        return self.units.center + self.units.scale * float(self.weights @ self.means)

    @property
    def deviation(self) -> float:
        """The standard deviation of the loss."""
        off = self.means - self.weights @ self.means
        return self.units.scale * math.sqrt(float(self.weights @ (self.deviations**2 + off**2)))

    def below(self, loss: float) -> float:
        """Return the probability of a smaller loss."""
        z = (self.means - (loss - self.units.center) / self.units.scale) / self.deviations
        return float(self.weights @ [0.5 * math.erfc(x / math.sqrt(2.0)) for x in z.tolist()])


def learn(peers: Peers, end: float) -> Known:
    """Return what is known from ``peers``, trials that have ended and measured something.

    The last of them choose λ.
    """
    units = Units.of(peers, end)
    curves = binned(peers, units)
    few = curves.newest(_JUDGES_OF_WALKS)
    tried = []
    for walk in _WALKS:
        sums = few.sums(walk)
        known, log_p = _blank(units, walk), -np.inf
        for _ in range(_FIRST_STEPS):
            known, log_p = _improved(known, sums)
        tried.append((log_p, known))
    _, known = max(tried, key=lambda pair: pair[0])
    sums = curves.sums(known.walk)
    for _ in range(_LAST_STEPS):
        known, _ = _improved(known, sums)
    return replace(known, covariance=known.covariance * (1.0 + _UNSURE / len(peers)))


def guess(peers: Peers, end: float) -> Known:
    """Return what may be believed without any trial that has ended, in the units that ``peers`` suggest."""
    return _blank(Units.of(peers, end), _WALKS[1])


def forecast(series: Series, known: Known) -> Forecast:
    """Return the loss that a trial will measure at the end, from what it measured so far, at least once."""
    sums = binned(Peers.alone(series), known.units).sums(known.walk)
    beliefs = _beliefs(sums, known)
    ahead = sums.ahead[0]
    mean = sums.known[0] + np.einsum("smk,sk->sm", beliefs.mean[0], ahead)
    variance = np.einsum("sk,smkl,sl->sm", ahead, beliefs.covariance[0], ahead)
    variance = variance + known.noise * _ROUGHNESS * (sums.unknown[0] + 1.0)
    weights = beliefs.weights[0].ravel()
    return Forecast(known.units, weights, mean.ravel(), np.sqrt(variance).ravel())


def _blank(units: Units, walk: float) -> Known:
    return Known(
        units,
        _MEAN,
        _COVARIANCE,
        _NOISE,
        walk,
        np.full(COUNT, 1.0 / COUNT),
        np.full(len(_ROUGHNESS), 1.0 / len(_ROUGHNESS)),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Beliefs:
    """What is believed of J curves, for each shape and roughness.

    Attributes:
        mean: Of β, ``(J, S, M, 3)``.
        covariance: Of β, ``(J, S, M, 3, 3)``.
        weights: The probability of shape and roughness, ``(J, S, M)``.
        log_p: The log density of each curve, ``(J,)``.
    """

    mean: Array
    covariance: Array
    weights: Array
    log_p: Array


def _beliefs(sums: Sums, known: Known) -> _Beliefs:
    """Return the posteriors of Bayesian linear regression, and the evidence for shapes and roughness."""
    v = known.noise * _ROUGHNESS
    precision = np.linalg.inv(known.covariance)
    pull = precision @ known.mean
    covariance, log_det = _inverse(precision + sums.gram[:, :, None] / v[:, None, None])
    right = pull + sums.cross[:, :, None] / v[:, None]
    mean = np.einsum("jsmkl,jsml->jsmk", covariance, right)
    square = sums.square[:, None, None] / v - np.einsum("jsmk,jsmk->jsm", right, mean)
    size = sums.n[:, None, None] * np.log(2.0 * np.pi * v) + sums.log_det[:, None, None] + log_det
    constant = known.mean @ pull + np.linalg.slogdet(known.covariance)[1]
    log_w = -0.5 * (square + size + constant)
    log_w = log_w + np.log(known.shares)[:, None] + np.log(known.roughness)
    top = log_w.max(axis=(1, 2))
    weights = np.exp(log_w - top[:, None, None])
    total = weights.sum(axis=(1, 2))
    return _Beliefs(mean, covariance, weights / total[:, None, None], top + np.log(total))


def _improved(known: Known, sums: Sums) -> tuple[Known, float]:
    """Return what one step of the maximisation makes of it, and the log density of all curves before."""
    beliefs = _beliefs(sums, known)
    w, count = beliefs.weights, len(sums.n)
    mean = np.einsum("jsm,jsmk->k", w, beliefs.mean) / count
    off = beliefs.mean - mean
    scatter = np.einsum("jsm,jsmk,jsml->kl", w, off, off, optimize=True)
    scatter = scatter + np.einsum("jsm,jsmkl->kl", w, beliefs.covariance)
    # E |y - Φβ|² with K⁻¹ for the norm.
    second = beliefs.covariance + beliefs.mean[..., :, None] * beliefs.mean[..., None, :]
    errors = (
        sums.square[:, None, None]
        - 2.0 * np.einsum("jsmk,jsk->jsm", beliefs.mean, sums.cross)
        + np.einsum("jskl,jsmkl->jsm", sums.gram, second)
    )
    errors = np.maximum(errors, 0.0)  # rounding can leave a little less
    noise = float((w * errors / _ROUGHNESS).sum()) + _COUNTS_FOR * _NOISE
    shares = w.sum(axis=(0, 2)) + _SHARE_COUNTS_FOR
    roughness = w.sum(axis=(0, 1)) + _SHARE_COUNTS_FOR
    better = replace(
        known,
        mean=mean,
        covariance=(scatter + _COUNTS_FOR * _COVARIANCE) / (count + _COUNTS_FOR),
        noise=noise / (float(sums.n.sum()) + _COUNTS_FOR),
        shares=shares / shares.sum(),
        roughness=roughness / roughness.sum(),
    )
    return better, float(beliefs.log_p.sum())


def _inverse(matrices: Array) -> tuple[Array, Array]:
    """Return the inverses of positive definite ``(..., 3, 3)``, and their log determinants.

    By cofactors: ``np.linalg.inv`` takes ten times as long for thousands of such small ones.
    """
    a, b, c = matrices[..., 0, 0], matrices[..., 0, 1], matrices[..., 0, 2]
    d, e, f = matrices[..., 1, 1], matrices[..., 1, 2], matrices[..., 2, 2]
    out = np.empty_like(matrices)
    out[..., 0, 0] = d * f - e * e
    out[..., 1, 1] = a * f - c * c
    out[..., 2, 2] = a * d - b * b
    out[..., 0, 1] = out[..., 1, 0] = c * e - b * f
    out[..., 0, 2] = out[..., 2, 0] = b * e - c * d
    out[..., 1, 2] = out[..., 2, 1] = b * c - a * e
    det = a * out[..., 0, 0] + b * out[..., 0, 1] + c * out[..., 0, 2]
    return out / det[..., None, None], np.log(det)
