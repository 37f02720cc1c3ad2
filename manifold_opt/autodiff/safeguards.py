"""Is a derivative the derivative? One random central difference says so, or why not."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from typing import Any

import numpy as np

from ..linalg import Array
from .errors import LostDerivative, WrongDerivative
from .steps import power_of_two, relative_step, scale_along
from .values import as_cost, as_residuals

__all__ = ["Comparison", "check_cost_gradient", "check_residual_jacobian", "compare_along"]

RTOL = 1e-3  # a central difference at the right step is far better; a wrong derivative is far worse
NOISE = 100.0  # units of rounding of the values that a difference may be off: sums and cancellation in the function
FACTORS = (4.0, 0.25, 16.0, 1.0 / 16.0, 256.0, 1.0 / 256.0, 4096.0)  # further steps, in first steps


@dataclass(frozen=True)
class Comparison:
    """Differences of a function against what its derivative says, along one direction.

    Attributes
    ----------
    found : array of shape (m,)
        Directional derivatives by central differences.
    expected : array of shape (m,)
        Those of the derivative under test.
    wrong : array of bool, shape (m,)
        Where the two differ beyond doubt: at every step, while the differences agree with each other and the function
        has no kink.
    calls : int
        Calls of the function.
    """

    found: Array
    expected: Array
    wrong: Array
    calls: int

    @property
    def ratio(self) -> float:
        """Found over expected in the least-squares sense; NaN where they are not multiples of each other."""
        a, b = self.found, self.expected
        bb = float(b @ b)
        if bb == 0.0:
            return float("nan")
        ratio = float(a @ b) / bb
        same = np.linalg.norm(a - ratio * b) <= 1e-2 * np.linalg.norm(a)
        return ratio if same else float("nan")


def compare_along(f: Callable[[Array], Array], expected: Array, M: Any, p: Array, X: Array) -> Comparison:
    """Compare directional derivatives of ``f`` at p along X with the expected ones.

    Parameters
    ----------
    f : callable
        p -> vector of shape (m,).
    expected : array of shape (m,)
        What the derivative under test says.
    M : Manifold
    p : array
    X : array
        Unit tangent vector at p.

    Returns
    -------
    Comparison
        Mostly two calls of f where all agrees, 17 (33 near zero) where not.
    """
    expected = np.asarray(expected, dtype=float)
    trials = _Trials(f, expected, M, p, X)
    for h in _steps(M, p, X):
        if trials.at(h):
            return Comparison(expected, expected, np.zeros(expected.shape, bool), trials.calls)
    return Comparison(*trials.verdict())


def _steps(M: Any, p: Array, X: Array) -> list[float]:
    """Steps to try: first the one for the size of the point, then that for size 1, then others around both."""
    relative = relative_step(p.real.dtype)
    first, unit = power_of_two(relative * scale_along(p, M.storage_vector(p, X))), power_of_two(relative)
    bases = [first, unit] if first < unit / 64.0 else [first]
    return bases + [h * factor for h in bases for factor in FACTORS]


class _Trials:
    """Central differences at several steps, and what they amount to."""

    def __init__(self, f: Callable[[Array], Array], expected: Array, M: Any, p: Array, X: Array) -> None:
        self.f, self.expected, self.M, self.p, self.X = f, expected, M, p, X
        self.eps = float(np.finfo(p.real.dtype).eps)
        self.unit = relative_step(p.real.dtype) / 16.0
        self.open = np.ones(expected.shape, dtype=bool)  # not yet in agreement at any step
        self.steps: list[float] = []
        self.found: list[Array] = []
        self.sums: list[Array] = []
        self.noise: list[Array] = []
        self.calls = 0

    def at(self, h: float) -> bool:
        """Try the step h; whether by now everything agrees."""
        retract, f = self.M.get_retraction(None), self.f
        self.calls += 2
        with np.errstate(all="ignore"):  # these points are ours, and what overflows there is no news to the user
            # copied, since a user's function may use one buffer for both
            plus, minus = (np.array(f(retract(self.p, self.X, s)), dtype=float) for s in (h, -h))
            found = (plus - minus) / (2.0 * h)
            noise = NOISE * self.eps * np.maximum(np.abs(plus), np.abs(minus)) / h
            size = np.maximum(np.abs(found), np.abs(self.expected))
            # small steps may see nothing but rounding, which must not pass for agreement
            decisive = (noise <= 0.1 * size) | (h >= self.unit)
            self.open &= ~(decisive & (np.abs(found - self.expected) <= RTOL * size + noise))
            self.sums.append(plus + minus)
        self.steps.append(h)
        self.found.append(found)
        self.noise.append(noise)
        return not self.open.any()

    def verdict(self) -> tuple[Array, Array, Array, int]:
        order = np.argsort(self.steps)
        h = np.array(self.steps)[order]
        with np.errstate(all="ignore"):
            found, noise, sums = (np.stack(x)[order] for x in (self.found, self.noise, self.sums))
            self.calls += 1
            center = np.asarray(self.f(self.p), dtype=float)
            gap = np.abs(found - self.expected)
            kink = np.abs(sums - 2.0 * center) / h[:, None]
            clear = np.isfinite(gap) & (noise <= 0.1 * gap)
            change = np.abs(found[1:] - found[:-1])
            stable = change <= 0.02 * np.minimum(gap[1:], np.abs(found[1:])) + noise[1:] + noise[:-1]
            smooth = (kink[:-1] <= 0.1 * gap[:-1]) | (kink[:-1] <= 0.5 * kink[1:])
            sure = clear[1:] & clear[:-1] & stable & smooth
        wrong = self.open & sure.any(axis=0)
        best = np.take_along_axis(found, np.argmax(sure, axis=0)[None], axis=0)[0]
        return np.where(wrong, best, self.expected), self.expected, wrong, self.calls


def check_cost_gradient(
    f: Callable[[Array], Any],
    gradient: Callable[[Array], Array] | Array,
    M: Any,
    p: Array,
    rng: Any = None,
    *,
    given: bool = False,
) -> int:
    """Check a Riemannian gradient at p against one random central difference of the cost.

    Parameters
    ----------
    f : callable
        Cost.
    gradient : callable or array
        Riemannian gradient as a function of the point, or its value at p: a stored tangent vector.
    M : Manifold
    p : array
        Point.
    rng : seed or Generator, optional
        For the direction. Default: a fixed one with irregular coordinates.
    given : bool
        Whether the user wrote the gradient, which changes what the error suggests. Default False: it comes from
        automatic differentiation.

    Returns
    -------
    int
        Calls of ``f``: mostly 2 where the gradient is right.

    Raises
    ------
    WrongDerivative
        When a given gradient is not tangent at p, or not the gradient; the message states the ratio found.
    LostDerivative
        When the gradient by automatic differentiation is wrong.

    Notes
    -----
    Differences that contradict each other, drown in rounding, or straddle a kink never raise.
    """
    X = gradient(p) if callable(gradient) else gradient
    if given:
        _check_tangent(M, p, X)
    directions = _directions(M, p, rng)
    E = next(directions)
    if _agree(f, float(M.inner(p, X, E)), M, p, E):
        return 2
    cost = lambda q: np.array([as_cost(f(q))])
    expected = lambda E: np.array([float(M.inner(p, X, E))])
    first = compare_along(cost, expected(E), M, p, E)
    if not first.wrong.any():
        return 2 + first.calls
    E2 = next(directions)
    second = compare_along(cost, expected(E2), M, p, E2)
    calls = 2 + first.calls + second.calls
    both = Comparison(
        found=np.append(first.found, second.found),
        expected=np.append(first.expected, second.expected),
        wrong=np.append(first.wrong, second.wrong),
        calls=calls,
    )
    if not given:
        raise LostDerivative(_lost("cost", "f", both.found, both.expected), both.ratio, calls)
    raise WrongDerivative(_wrong_gradient(M, p, X, [E, E2], both), both.ratio, calls)


def check_residual_jacobian(
    r: Callable[[Array], Any],
    jacobian: Callable[[Array], Any] | Any,
    M: Any,
    p: Array,
    rng: Any = None,
    *,
    given: bool = False,
) -> int:
    """Check a Jacobian at p against one random central difference of the residuals.

    Parameters
    ----------
    r : callable
        Residuals.
    jacobian : callable or (m, dim) array, sparse matrix or operator
        In the default orthonormal coordinates at p, as a function of the point or its value at p.
    M, p, rng, given
        As for `check_cost_gradient`.

    Returns
    -------
    int
        Calls of ``r``: mostly 2 where the Jacobian is right.

    Raises
    ------
    WrongDerivative, LostDerivative
        When rows are wrong; the message says which, and the ratio found.
    """
    # SciPy's operators are callable, too
    J = jacobian(p) if callable(jacobian) and not hasattr(jacobian, "shape") else jacobian
    E = next(_directions(M, p, rng))
    c = M.get_coordinates(p, E)
    expected = np.asarray(J @ c).reshape(-1)
    values = lambda q: as_residuals(r(q))
    found = compare_along(values, expected, M, p, E)
    if not found.wrong.any():
        return found.calls
    if not given:
        a, b = found.found[found.wrong], found.expected[found.wrong]
        raise LostDerivative(_rows(found) + _lost("residual", "residual", a, b), found.ratio, found.calls)
    raise WrongDerivative(_rows(found) + _wrong_jacobian(found), found.ratio, found.calls)


def _directions(M: Any, p: Array, rng: Any) -> Iterator[Array]:
    """Unit vectors with random coordinates; without ``rng``, or irregular ones, which are faster to make."""
    generator = None if rng is None else np.random.default_rng(rng)
    k = np.arange(1.0, M.dim + 1.0)
    for j in count(1):
        c = np.cos(j * k * k) if generator is None else generator.standard_normal(M.dim)
        c /= math.sqrt(c.dot(c))
        yield M.get_vector(p, c.astype(p.real.dtype, copy=False))


def _agree(f: Callable[[Array], Any], expected: float, M: Any, p: Array, X: Array) -> bool:
    """Whether the first central difference shows what is expected, as it does for right derivatives."""
    h = _steps(M, p, X)[0]
    retract = M.get_retraction(None)
    plus, minus = as_cost(f(retract(p, X, h))), as_cost(f(retract(p, X, -h)))
    found = (plus - minus) / (2.0 * h)
    size = max(abs(found), abs(expected))
    noise = NOISE * float(np.finfo(p.real.dtype).eps) * max(abs(plus), abs(minus)) / h
    decisive = noise <= 0.1 * size or h >= relative_step(p.real.dtype) / 16.0
    return decisive and abs(found - expected) <= RTOL * size + noise


def _check_tangent(M: Any, p: Array, X: Array) -> None:
    shape = tuple(np.shape(X))
    if shape != tuple(M.vector_shape):
        raise WrongDerivative(f"`gradient` must return a vector of shape {tuple(M.vector_shape)}; it returned {shape}.")
    if not M.is_vector(p, X) and np.all(np.isfinite(X)):
        raise WrongDerivative(
            "`gradient` does not return a tangent vector at p. Is it the Euclidean gradient? "
            "Then use objective_type='euclidean'; otherwise project it with M.project_vector(p, X)."
        )


def _lost(what: str, name: str, found: Array, expected: Array) -> str:
    seen = "no derivative at all" if not expected.any() else f"{expected[0]:.6g}"
    return (
        f"automatic differentiation has lost a derivative: along a random direction the {what} changes at the rate "
        f"{found[0]:.6g}, and differentiation finds {seen}. Somewhere `{name}` leaves the trace: a value is copied "
        "into a plain NumPy array or number, or computed outside of `autograd.numpy`. Rewrite that, give the "
        "derivative, or use autodiff='finite-differences'."
    )


def _wrong_gradient(M: Any, p: Array, X: Array, directions: list[Array], both: Comparison) -> str:
    ratio = both.ratio
    if np.isfinite(ratio) and abs(ratio) > 1e-6:
        return f"the directional derivative of the cost is {ratio:.3f} times the one from `gradient`: {_factor(ratio)}."
    if _is_euclidean(M, p, X, directions, both):
        return (
            "the directional derivatives of the cost do not fit `gradient`, but they fit it as a Euclidean one. "
            "Euclidean gradient given as Riemannian? use objective_type='euclidean'."
        )
    a, b = both.found, both.expected
    return (
        f"the directional derivatives of the cost along two random directions are {a[0]:.6g} and {a[1]:.6g}; "
        f"`gradient` says {b[0]:.6g} and {b[1]:.6g}. Check it with manifold_opt.checks.check_gradient; without "
        "`gradient=` it is computed by automatic differentiation."
    )


def _is_euclidean(M: Any, p: Array, X: Array, directions: list[Array], both: Comparison) -> bool:
    if tuple(np.shape(X)) != tuple(M.embedding_shape):
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Y = M.riemannian_gradient(p, X)
    again = np.array([float(M.inner(p, Y, E)) for E in directions])
    return bool(np.all(np.abs(again - both.found) <= 1e-2 * np.abs(both.found)))


def _factor(ratio: float) -> str:
    if abs(ratio + 1.0) < 1e-3:
        return "its sign is wrong"
    near = Fraction(ratio).limit_denominator(12)
    text = str(near) if abs(float(near) - ratio) <= 1e-3 * abs(ratio) else f"{ratio:.4g}"
    inverse = str(1 / near) if text == str(near) else f"{1.0 / ratio:.4g}"
    return f"a factor {text} is missing in the gradient, or {inverse} in the cost"


def _rows(found: Comparison) -> str:
    rows = np.flatnonzero(found.wrong)
    some = ", ".join(map(str, rows[:5])) + (", ..." if len(rows) > 5 else "")
    return f"{len(rows)} of {len(found.wrong)} rows of the Jacobian are wrong ({some}): "


def _wrong_jacobian(found: Comparison) -> str:
    ratio = found.ratio
    if np.isfinite(ratio) and abs(ratio) > 1e-6:
        return (
            f"the directional derivative of the residual is {ratio:.3f} times the one from `jacobian`: "
            + _factor(ratio).replace("gradient", "Jacobian").replace("cost", "residual")
            + "."
        )
    k = int(np.argmax(found.wrong))
    return (
        f"along a random direction residual {k} changes at the rate {found.found[k]:.6g}, and `jacobian` says "
        f"{found.expected[k]:.6g}. Partial derivatives given as coordinates? use jacobian_type='euclidean'. Check it "
        "with manifold_opt.checks.check_jacobian; without `jacobian=` it is computed by automatic differentiation."
    )
