"""Minimizers of small quadratic models satisfy the optimality conditions, hard cases included."""

from __future__ import annotations

import math

import numpy as np
import pytest

from manifold_opt.linalg.secular import minimize_cubic, minimize_in_ball

RNG = np.random.default_rng(5)
SPECTRA = {
    "positive": np.array([0.5, 1.0, 3.0]),
    "indefinite": np.array([-2.0, -1.0, 0.0, 4.0]),
    "negative": np.array([-3.0, -2.0, -1.0]),
    "double": np.array([-1.0, -1.0, 2.0]),
    "zero": np.zeros(3),
    "wide": np.array([-1e-6, 1e-3, 1.0, 1e6]),
    "singular": np.array([0.0, 1.0, 2.0]),
    "one": np.array([-2.0]),
}


def linear_parts(w):
    yield RNG.standard_normal(len(w))
    yield 1e-9 * RNG.standard_normal(len(w))
    yield 1e9 * RNG.standard_normal(len(w))
    hard = RNG.standard_normal(len(w))
    hard[w <= w[0]] = 0.0
    yield hard
    nearly = hard.copy()
    nearly[0] = 1e-13
    yield nearly
    yield np.zeros(len(w))


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("radius", [1e-3, 1.0, 1e3])
def test_ball(name, radius):
    w = SPECTRA[name]
    for c in linear_parts(w):
        x, lam = minimize_in_ball(w, c, radius)
        scale = np.abs(c).max(initial=0.0) + np.abs(w).max() * radius
        assert np.linalg.norm(x) <= radius * (1 + 1e-10)
        assert lam >= 0.0 and w[0] + lam >= -1e-10 * np.abs(w).max()
        assert np.abs((w + lam) * x + c).max() <= 1e-10 * scale + 2e-13
        assert lam == 0.0 or math.isclose(np.linalg.norm(x), radius, rel_tol=1e-9)


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("sigma", [1e-3, 1.0, 1e3])
def test_cubic(name, sigma):
    w = SPECTRA[name]
    for c in linear_parts(w):
        x, lam = minimize_cubic(w, c, sigma)
        norm = float(np.linalg.norm(x))
        assert math.isclose(lam, sigma * norm, rel_tol=1e-9, abs_tol=1e-12 * np.abs(w).max())
        assert w[0] + lam >= -1e-10 * np.abs(w).max()
        scale = np.abs(c).max(initial=0.0) + (np.abs(w).max() + lam) * norm
        assert np.abs((w + lam) * x + c).max() <= 1e-10 * scale + 2e-13


def test_inside_the_ball_it_is_newton():
    w, c = np.array([1.0, 2.0]), np.array([0.3, -0.4])
    x, lam = minimize_in_ball(w, c, math.inf)
    assert lam == 0.0
    assert np.array_equal(x, -c / w)
