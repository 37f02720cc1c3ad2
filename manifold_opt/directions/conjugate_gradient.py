r"""Conjugate gradient coefficients beta in X_{k+1} = -g_{k+1} + beta T X_k, and when to start anew.

With the transported direction d = T X_k, the change of the gradient y = g_{k+1} - T g_k, and the old slope
<g_k, X_k>, the denominator <d, y> is taken as <d, g_{k+1}> - <g_k, X_k>, which is the same for isometric transports and
keeps its meaning for others (Sato 2022). With a preconditioner P, z = P g replaces g where a gradient is a direction.

References
----------
.. [1] W. Hager and H. Zhang, A survey of nonlinear conjugate gradient methods, Pacific J. Optim. 2 (2006), 35-58.
.. [2] H. Sato, Riemannian conjugate gradient methods: general framework and specific algorithms with convergence
   analyses, SIAM J. Optim. 32 (2022), 2690-2717.
.. [3] H. Sakai and H. Iiduka, Sufficient descent Riemannian conjugate gradient methods, J. Optim. Theory Appl. 190
   (2021), 130-150.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class Pair:
    """Two successive iterates as a coefficient sees them; what is not asked for is not computed.

    Attributes
    ----------
    manifold, point
        Where all vectors live.
    gradient, z : array
        g_{k+1} and P g_{k+1}.
    direction : array
        d, the transported X_k.
    gz, gz_old : float
        <g_{k+1}, z_{k+1}> and <g_k, z_k>.
    slope_old : float
        <g_k, X_k>.
    """

    __slots__ = (
        "_change",
        "_old",
        "_transport",
        "direction",
        "gradient",
        "gz",
        "gz_old",
        "manifold",
        "point",
        "slope_old",
        "z",
    )

    def __init__(
        self, M: Any, transport: Any, p: Any, g: Any, z: Any, gz: float, old: Any, direction: Any = None
    ) -> None:
        self.manifold, self._transport, self.point = M, transport, p
        self.gradient, self.z, self.gz = g, z, gz
        self._old = old
        self._change: Any = None
        q, _, _, X, self.gz_old, self.slope_old = old
        self.direction = transport(q, X, p) if direction is None else direction

    @property
    def change(self) -> Any:
        """y, the change of the gradient."""
        if self._change is None:
            self._change = self.gradient - self._transport(self._old[0], self._old[1], self.point)
        return self._change

    @property
    def change_z(self) -> Any:
        """Change of the preconditioned gradient."""
        q, g, z = self._old[:3]
        return self.change if z is g else self.z - self._transport(q, z, self.point)

    @property
    def zy(self) -> float:
        """<z, y>."""
        return self.inner(self.z, self.change)

    @property
    def dg(self) -> float:
        """<d, g_{k+1}>."""
        return self.inner(self.direction, self.gradient)

    @property
    def dy(self) -> float:
        """<d, y>."""
        return self.dg - self.slope_old

    def inner(self, X: Any, Y: Any) -> float:
        """Inner product at the new point."""
        return self.manifold.inner(self.point, X, Y)


class Coefficient:
    """Base of all conjugate gradient coefficients: frozen values without memory."""

    __slots__ = ()

    def __call__(self, pair: Pair) -> float:
        """Coefficient beta; not finite where its denominator vanishes, which the solver takes for 0."""
        raise NotImplementedError


def _ratio(a: float, b: float) -> float:
    return a / b if b else 0.0


@dataclass(frozen=True)
class SteepestDescentCoefficient(Coefficient):
    """Zero: gradient descent."""

    def __call__(self, pair: Pair) -> float:
        """See `Coefficient`."""
        return 0.0


@dataclass(frozen=True)
class FletcherReevesCoefficient(Coefficient):
    """<g+, g+> / <g, g> (Fletcher and Reeves 1964)."""

    def __call__(self, pair: Pair) -> float:
        """See `Coefficient`."""
        return _ratio(pair.gz, pair.gz_old)


@dataclass(frozen=True)
class PolakRibiereCoefficient(Coefficient):
    """max(0, <g+, y> / <g, g>) (Polak and Ribiere 1969, with Powell's restart)."""

    def __call__(self, pair: Pair) -> float:
        """See `Coefficient`."""
        return max(0.0, _ratio(pair.zy, pair.gz_old))


@dataclass(frozen=True)
class HestenesStiefelCoefficient(Coefficient):
    """max(0, <g+, y> / <d, y>) (Hestenes and Stiefel 1952)."""

    def __call__(self, pair: Pair) -> float:
        """See `Coefficient`."""
        return max(0.0, _ratio(pair.zy, pair.dy))


@dataclass(frozen=True)
class LiuStoreyCoefficient(Coefficient):
    """-<g+, y> / <g, X> (Liu and Storey 1991)."""

    def __call__(self, pair: Pair) -> float:
        """See `Coefficient`."""
        return -_ratio(pair.zy, pair.slope_old)


@dataclass(frozen=True)
class DaiYuanCoefficient(Coefficient):
    """<g+, g+> / <d, y> (Dai and Yuan 1999)."""

    def __call__(self, pair: Pair) -> float:
        """See `Coefficient`."""
        return _ratio(pair.gz, pair.dy)


@dataclass(frozen=True)
class ConjugateDescentCoefficient(Coefficient):
    """-<g+, g+> / <g, X> (Fletcher 1987)."""

    def __call__(self, pair: Pair) -> float:
        """See `Coefficient`."""
        return -_ratio(pair.gz, pair.slope_old)


@dataclass(frozen=True)
class HagerZhangCoefficient(Coefficient):
    """(<g+, y> - mu <y, y> <d, g+> / <d, y>) / <d, y>, bounded below (Hager and Zhang 2005; Sakai and Iiduka 2021).

    Parameters
    ----------
    mu : float
        More than 1/4, so that every direction descends; 2 (default) is Hager's and Zhang's, 1 Dai's and Kou's (2013).
    bound : float
        eta in the lower bound -1 / (|X| min(eta, |g|)).

    Raises
    ------
    ValueError
        When a parameter is outside its interval.
    """

    mu: float = 2.0
    bound: float = 0.01

    def __post_init__(self) -> None:
        if not (self.mu > 0.25 and self.bound > 0.0):
            raise ValueError(f"`mu` must be more than 1/4 and `bound` positive; got {self.mu!r} and {self.bound!r}.")

    def __call__(self, pair: Pair) -> float:
        """See `Coefficient`."""
        dg = pair.dg
        dy = dg - pair.slope_old
        yy = pair.inner(pair.change, pair.change_z)
        beta = _ratio(pair.zy - self.mu * yy * _ratio(dg, dy), dy)
        if beta >= 0.0:
            return beta
        length = pair.manifold.norm(pair.point, pair.direction)
        return max(beta, -_ratio(1.0, length * min(self.bound, pair.gz_old**0.5)))


@dataclass(frozen=True)
class HybridCoefficient(Coefficient):
    """The least of several coefficients, but not below a bound.

    ``HybridCoefficient(HestenesStiefelCoefficient(), DaiYuanCoefficient())`` is one of Sakai and Sato (2021), as are
    Polak-Ribiere with Fletcher-Reeves and Liu-Storey with conjugate descent.

    Parameters
    ----------
    *rules : Coefficient
        Two or more.
    lower_bound : float
        Default 0.
    scale : float
        Factor of the least one.
    """

    rules: tuple[Coefficient, ...]
    lower_bound: float
    scale: float

    def __init__(self, *rules: Coefficient, lower_bound: float = 0.0, scale: float = 1.0) -> None:
        if len(rules) < 2:
            raise ValueError(f"HybridCoefficient needs two coefficients or more; got {len(rules)}.")
        for rule in rules:
            check_coefficient(rule)
        object.__setattr__(self, "rules", rules)
        object.__setattr__(self, "lower_bound", float(lower_bound))
        object.__setattr__(self, "scale", float(scale))

    def __call__(self, pair: Pair) -> float:
        """See `Coefficient`."""
        return max(self.lower_bound, self.scale * min(rule(pair) for rule in self.rules))


@dataclass(frozen=True)
class ConjugateGradientBealeRestart(Coefficient):
    """Zero where two successive gradients are far from orthogonal, else another coefficient (Beale 1972, Powell 1977).

    Parameters
    ----------
    rule : Coefficient
    threshold : float
        Restart where |<g+, T g>| > threshold |g+|^2.
    """

    rule: Coefficient
    threshold: float = 0.2

    def __post_init__(self) -> None:
        check_coefficient(self.rule)

    def __call__(self, pair: Pair) -> float:
        """See `Coefficient`."""
        return 0.0 if abs(pair.gz - pair.zy) > self.threshold * pair.gz else self.rule(pair)


def check_coefficient(value: Any) -> None:
    """Raise TypeError unless ``value`` is a coefficient."""
    if not isinstance(value, Coefficient):
        raise TypeError(f"`coefficient` must be a rule such as HagerZhangCoefficient(); got {value!r}.")


class RestartCondition:
    """Base of the conditions under which conjugate gradients start anew along minus the gradient."""

    __slots__ = ()

    def __call__(self, slope: float, gz: float) -> bool:
        """Whether to restart, given the slope <g, X> of the new direction and <g, z>."""
        raise NotImplementedError


@dataclass(frozen=True)
class NeverRestart(RestartCondition):
    """Never; a direction that does not descend then ends the run."""

    def __call__(self, slope: float, gz: float) -> bool:
        """See `RestartCondition`."""
        return False


@dataclass(frozen=True)
class RestartOnNonDescent(RestartCondition):
    """Where the direction does not descend."""

    def __call__(self, slope: float, gz: float) -> bool:
        """See `RestartCondition`."""
        return not slope < 0.0


@dataclass(frozen=True)
class RestartOnNonSufficientDescent(RestartCondition):
    """Where <g, X> > -kappa <g, g>.

    Parameters
    ----------
    kappa : float
        In (0, 1).
    """

    kappa: float = 0.1

    def __post_init__(self) -> None:
        if not 0.0 < self.kappa < 1.0:
            raise ValueError(f"`kappa` must be between 0 and 1, both excluded; got {self.kappa!r}.")

    def __call__(self, slope: float, gz: float) -> bool:
        """See `RestartCondition`."""
        return not slope <= -self.kappa * gz
