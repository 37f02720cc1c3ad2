"""Parts, coordinates and functions of symmetric matrices."""

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from linalg.derivatives import check_rules

from manifold_opt.linalg import (
    skew,
    smat,
    svec,
    sym,
    symmetric_exp,
    symmetric_inverse_sqrt,
    symmetric_log,
    symmetric_log1p,
    symmetric_sqrt,
    transpose,
)
from manifold_opt.linalg.symmetric import SPECTRAL

FUNCTIONS = {
    "exp": (symmetric_exp, np.exp),
    "log": (symmetric_log, np.log),
    "log1p": (symmetric_log1p, np.log1p),
    "sqrt": (symmetric_sqrt, np.sqrt),
    "rsqrt": (symmetric_inverse_sqrt, lambda x: 1 / np.sqrt(x)),
}
SPECTRA = [
    [1, 1, 1, 1],
    [1, 1, 2, 2.0001],
    [0.05, 1, 3, 20],
    [1, 1 + 1e-9, 1 + 1e-5, 1.3],
    [0.4, 0.5, 1.2, 1.2],
]


def with_spectrum(w, seed=0):
    Q = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(w), len(w))))[0]
    return sym((Q * np.asarray(w, dtype=float)) @ Q.T)


@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
@settings(derandomize=True, deadline=None, max_examples=30)
def test_coordinates_are_an_isometry(n, seed):
    A, B = sym(np.random.default_rng(seed).standard_normal((2, 3, n, n)))
    np.testing.assert_allclose(np.sum(svec(A) * svec(B), -1), np.einsum("bij,bij->b", A, B), atol=1e-13)
    np.testing.assert_allclose(smat(svec(A)), A, atol=1e-15)
    assert svec(A.astype(np.float32)).dtype == smat(svec(A).astype(np.float32)).dtype == np.float32


def test_the_order_of_coordinates_is_diagonal_then_rows_below():
    A = np.array([[1.0, 4, 5], [4, 2, 6], [5, 6, 3]])
    np.testing.assert_allclose(svec(A), [1, 2, 3, 4 * 2**0.5, 5 * 2**0.5, 6 * 2**0.5])


def test_parts_add_up():
    A = np.random.default_rng(0).standard_normal((2, 3, 3))
    np.testing.assert_allclose(sym(A) + skew(A), A, atol=1e-16)
    np.testing.assert_array_equal(sym(A), transpose(sym(A)))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_matrices_have_the_spectrum_mapped(name):
    matrix_function, f = FUNCTIONS[name]
    for w in SPECTRA:
        A = np.stack([with_spectrum(w), np.eye(4)])
        value = matrix_function(A)
        exact = np.sort(f(np.asarray(w, float)))
        error = 2e-14 * max(1.0, exact[-1]) * max(w)  # of the argument, times the largest slope
        np.testing.assert_allclose(np.linalg.eigvalsh(value[0]), exact, rtol=2e-14, atol=error)
        np.testing.assert_allclose(
            value[0] @ A[0], A[0] @ value[0], atol=1e-13 * np.abs(value).max() * np.abs(A).max()
        )
        np.testing.assert_allclose(value[1], f(1.0) * np.eye(4), atol=1e-15)
    assert matrix_function(np.eye(2, dtype=np.float32)).dtype == np.float32


@pytest.mark.parametrize("w", SPECTRA)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_at_distinct_close_and_repeated_eigenvalues(name, w):
    A = np.stack([with_spectrum(w), np.eye(4)])
    E = np.random.default_rng(3).standard_normal((2, 4, 4))
    step = 1e-6 if min(w) < 0.1 else 1e-5
    check_rules(FUNCTIONS[name][0], A, E, step, tolerance=3e-8)


FORMULAS = {
    "exp": mp.exp,
    "log": mp.log,
    "log1p": mp.log1p,
    "sqrt": mp.sqrt,
    "rsqrt": lambda x: 1 / mp.sqrt(x),
    "expi": lambda x: mp.exp(1j * x),
}
GAPS = [(0, 0), (1e-12, 0), (1e-12, 3e-11), (1e-5, 2e-5), (0.1, 0.2), (0.3, 0.45), (0.49, 0.2), (0.51, 0.2)]
GAPS += [(0, 2), (1.5, 2)]


@pytest.mark.parametrize("name", FORMULAS)
def test_divided_differences_against_fifty_digits(name):
    f = FORMULAS[name]
    for x in (0.1, 0.7, 3.0):
        for d, e in GAPS:
            a, b, c = x, x + d, x + e
            first = SPECTRAL[name].first(np, np.array(a), np.array(b))
            second = SPECTRAL[name].second(np, np.array(a), np.array(b), np.array(c))
            with mp.workdps(80):
                A, B, C = mp.mpf(a), mp.mpf(b), mp.mpf(c)
                slope = lambda s, t: mp.diff(f, s) if s == t else (f(s) - f(t)) / (s - t)
                if A == B == C:
                    bend = mp.diff(f, A, 2) / 2
                elif A != C:
                    bend = (slope(A, B) - slope(B, C)) / (A - C)
                else:
                    bend = (slope(A, C) - slope(C, B)) / (A - B)
                assert abs(complex(first) - complex(slope(A, B))) <= 1e-15 * 4 * abs(complex(slope(A, B)))
                assert abs(complex(second) - complex(bend)) <= 4e-14 * abs(complex(bend)), (a, b, c)
