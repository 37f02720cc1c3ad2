r"""Policies of the Levenberg-Marquardt driver that choose the length of a step: |D s| at most a radius.

`More` takes the damped step of that length, whatever lam belongs to it, with the scaling D and the radius of Moré; the
first radius is a multiple of the size of the point, measured by D. `PowellDogleg` and `SubspaceDogleg` make their steps
of two directions, the gradient's and Gauss-Newton's, and need no lam.

References
----------
.. [1] J. J. Moré, The Levenberg-Marquardt algorithm: implementation and theory, LNM 630 (1978).
.. [2] M. J. D. Powell, A hybrid method for nonlinear equations, in P. Rabinowitz (ed.), 1970.
.. [3] R. H. Byrd, R. B. Schnabel, G. A. Shultz, Math. Program. 40 (1988), 247-263 (two-dimensional subspaces).
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np

from ..linalg.damped_steps import SingularSteps, SolvedSteps, damped_steps
from .coordinates import coordinate_sizes
from .damping import BoundDamping, Damping, Step, check_field, check_scaling, new_scale
from .least_squares_state import Trial


@dataclass(frozen=True)
class TrustRegionPolicy(Damping):
    """Base of the policies with a radius.

    Parameters
    ----------
    factor : float
        First radius relative to the size |D p| of the point (to |r| at the origin), in the norm of D.
    initial_radius : float, optional
        First radius itself, in the norm of D.
    acceptance : float
        Gain ratio from which on a step is taken.
    scaling : {"columns", "marquardt", "blocks", None}
        D, see `Nielsen`.
    """

    guarded: ClassVar[bool] = True
    _: KW_ONLY
    factor: float = 1.0
    initial_radius: float | None = None
    acceptance: float = 1e-4
    scaling: str | None = "columns"

    def __post_init__(self) -> None:
        check_field(self, "factor", 0.0 < self.factor < math.inf, "positive and finite")
        radius = self.initial_radius
        check_field(self, "initial_radius", radius is None or 0.0 < radius < math.inf, "positive and finite, or None")
        check_field(self, "acceptance", 0.0 <= self.acceptance < 1.0, "at least 0 and below 1")
        check_scaling(self)


class BoundRadius(BoundDamping):
    """Run-time side: the radius, and what is kept at a point until it is left.

    Attributes
    ----------
    radius : float or None
        None before the first step.
    length : float
        |D s| of the last step.
    value : float
        Positive where the last step was cut by the radius.
    norms : array
        Those of the columns of the Jacobian.
    kept : object
        What depends on the Jacobian alone.
    """

    __slots__ = ("kept", "length", "manifold", "norms", "radius")
    prescribes: ClassVar[bool] = False

    def __init__(self, rule: TrustRegionPolicy, M: Any) -> None:
        super().__init__(rule, 0.0)
        self.radius: float | None = None
        self.length = math.nan
        self.manifold = M
        self.kept: Any = None

    def renew(self, column_norms: Any) -> None:
        """Adapt the scaling, and forget what was kept."""
        self.scale = new_scale(self.rule.scaling, self.scale, column_norms, self.manifold)
        self.norms, self.kept = column_norms, None

    def first_radius(self, e: Any) -> float:
        """Radius of the first step, from an evaluation."""
        rule = self.rule
        if rule.initial_radius is not None:
            return float(rule.initial_radius)
        sizes = self.scale * coordinate_sizes(self.manifold, e.point)
        size = math.sqrt(sizes.dot(sizes))
        # |D s| has the units of r: at the origin, a step that could remove the residual
        return float(rule.factor) * (size or math.sqrt(2.0 * e.cost) or 1.0)

    def unsolvable(self) -> None:
        """No lam helps: all were tried."""
        self.value = math.inf

    def judge(self, trial: Trial) -> bool:
        """Whether to take the step; adapts the radius."""
        predicted, radius = trial.predicted, self.radius or 0.0
        ratio = trial.actual / predicted if predicted > 0.0 else -1.0
        if not ratio >= 0.25:
            # halved after a decrease, else a quarter: [1], section 6, without the interpolation in between
            self.radius = 0.5 * min(radius, self.length) if trial.actual >= 0.0 else 0.25 * self.length
        elif ratio > 0.75 and self.value > 0.0:
            self.radius = max(radius, 2.0 * self.length)
        return ratio > self.rule.acceptance


@dataclass(frozen=True)
class More(TrustRegionPolicy):
    """The trust region of Moré: the damped step whose scaled length is the radius.

    A bad step shrinks the radius to a half or a quarter of the step, a very good one doubles it. One singular value
    decomposition of the triangle serves all radii at a point.

    Parameters
    ----------
    factor, initial_radius, acceptance, scaling
        See `TrustRegionPolicy`.
    """

    accelerated: ClassVar[bool] = True

    def bind(self, problem: Any, state: Any, previous: Any = None) -> BoundDamping:
        """Run-time object."""
        return _BoundMore(self, problem.manifold) if previous is None else previous


# a step may be this much longer than the radius: the radius is a guess anyway
_LENGTH_TOLERANCE = 0.1


class _BoundMore(BoundRadius):
    __slots__ = ()

    def step(self, solver: Any, e: Any) -> Step:
        if self.radius is None:
            self.radius = self.first_radius(e)
        if self.kept is None:
            self.kept = damped_steps(solver, e.model_residuals, self.scale)
        s, self.length, lam = self.kept.of_length(self.radius, _LENGTH_TOLERANCE)
        self.value = lam
        return Step(s, e.model_jacobian.dot(s), lam, lam * self.length * self.length)


@dataclass(frozen=True)
class PowellDogleg(TrustRegionPolicy):
    """Powell's dogleg: along steepest descent to the least of the model, from there towards Gauss-Newton's step.

    Parameters
    ----------
    factor, initial_radius, acceptance, scaling
        See `TrustRegionPolicy`.
    """

    def bind(self, problem: Any, state: Any, previous: Any = None) -> BoundDamping:
        """Run-time object."""
        return _BoundPowell(self, problem.manifold) if previous is None else previous


@dataclass(frozen=True)
class SubspaceDogleg(TrustRegionPolicy):
    """The least of the model inside the radius, in the plane of the gradient and Gauss-Newton's step.

    Parameters
    ----------
    factor, initial_radius, acceptance, scaling
        See `TrustRegionPolicy`.
    """

    def bind(self, problem: Any, state: Any, previous: Any = None) -> BoundDamping:
        """Run-time object."""
        return _BoundSubspace(self, problem.manifold) if previous is None else previous


class _BoundTwoDirections(BoundRadius):
    """What both doglegs share: the two directions, in scaled coordinates."""

    __slots__ = ()

    def step(self, solver: Any, e: Any) -> Step:
        if self.radius is None:
            self.radius = self.first_radius(e)
        if self.kept is None:
            D = self.scale
            newton = D * SolvedSteps(solver, e.model_residuals, D).least_damped()[0]
            # a column of zeros may be one that a bound holds
            g = np.where(self.norms > 0.0, e.model_jacobian.T @ e.model_residuals, 0.0)
            self.kept = self.prepared(e, g / D, newton)
        z, cut = self.chosen()
        self.value = 1.0 if cut else 0.0
        self.length = math.sqrt(z.dot(z))
        s = z / self.scale
        Js = e.model_jacobian.dot(s)
        square = float(Js.dot(Js))
        return Step(s, Js, 0.0, -float(e.model_residuals.dot(Js)) - square)

    def prepared(self, e: Any, g: Any, newton: Any) -> Any:
        """What the Jacobian decides."""
        raise NotImplementedError

    def chosen(self) -> tuple[Any, bool]:
        """The step for the radius, and whether this cut it."""
        raise NotImplementedError


class _BoundPowell(_BoundTwoDirections):
    __slots__ = ()

    def prepared(self, e: Any, g: Any, newton: Any) -> Any:
        Jg = e.model_jacobian.dot(g / self.scale)
        curvature = float(Jg.dot(Jg))
        cauchy = -(float(g.dot(g)) / curvature) * g if curvature > 0.0 else 0.0 * g
        return cauchy, newton

    def chosen(self) -> tuple[Any, bool]:
        cauchy, newton = self.kept
        radius = float(self.radius or 0.0)
        if newton.dot(newton) <= radius * radius:
            return newton, False
        short = math.sqrt(cauchy.dot(cauchy))
        if short >= radius:
            return (radius / short) * cauchy, True
        leg = newton - cauchy
        a, b, c = float(leg.dot(leg)), float(cauchy.dot(leg)), short * short - radius * radius
        root = math.sqrt(b * b - a * c)
        return cauchy + (-c / (b + root) if b > 0.0 else (root - b) / a) * leg, True


class _BoundSubspace(_BoundTwoDirections):
    __slots__ = ()

    def prepared(self, e: Any, g: Any, newton: Any) -> Any:
        plane = np.column_stack([newton, g])
        norms = np.linalg.norm(plane, axis=0)
        # of two parallel directions one is anything at all: it must not lead where a bound forbids
        basis = np.linalg.qr(plane / np.where(norms > 0.0, norms, 1.0))[0] * (self.norms > 0.0)[:, None]
        A = np.column_stack([e.model_jacobian.dot(column / self.scale) for column in basis.T])
        return SingularSteps(A, e.model_residuals, None), basis

    def chosen(self) -> tuple[Any, bool]:
        steps, basis = self.kept
        z, _, lam = steps.of_length(self.radius, _LENGTH_TOLERANCE)
        return basis @ z, lam > 0.0
