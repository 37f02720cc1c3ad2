r"""Variables held fixed, and variables tied together: a problem on a smaller manifold N and the map back to M.

The map lift : N -> M fills in what is fixed and repeats what is tied. In orthonormal coordinates its differential is a
matrix of zeros and ones, so Jacobians lose columns or have them added, gradients likewise, and since lift maps
geodesics to geodesics the Hessian of f o lift is that of f between two such matrices. Nothing is differentiated anew,
and every solver and every objective with residuals or a cost can be used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..linalg import namespace
from ..linalg.block_matrix import BlockMatrix, BlockPart
from ..linalg.solvers import dense
from ..manifolds import Euclidean, PowerManifold, ProductManifold
from .base import Objective
from .cost import CostFunctions
from .evaluation import Counts
from .least_squares import LeastSquaresFunctions


@dataclass(frozen=True, eq=False)
class _Piece:
    """What becomes of one variable.

    Attributes
    ----------
    manifold : Manifold
        Where it lives.
    free : Manifold or None
        Where its free part lives; None if nothing of it is free.
    value : array
        At the start; the source of what is fixed.
    keep : array of int or None
        Entries (of a Euclidean space) or copies (of a power) that are free; None for all of them.
    coordinates : array of int, shape (dim,)
        For each coordinate of ``manifold`` that of ``free`` it is, or -1.
    """

    manifold: Any
    free: Any
    value: Any
    keep: Any
    coordinates: Any

    def lift(self, x: Any) -> Any:
        """The variable, given its free part."""
        if self.keep is None:
            return self.value if self.free is None else x
        if type(x) is np.ndarray:
            whole = self.value.astype(np.result_type(self.value, x))
            _rows(whole, self.manifold)[self.keep] = x
            return whole
        rows = _rows(self.value, self.manifold)
        rest = np.setdiff1d(np.arange(len(rows)), self.keep)
        order = np.argsort(np.concatenate([self.keep, rest]))
        xp = namespace(x)
        # a library's own array of what is fixed
        joined = xp.concatenate([x, rows[rest] + xp.zeros_like(x[:1])] if len(rest) else [x], axis=0)
        return xp.reshape(joined[order], self.value.shape)

    def restrict(self, x: Any) -> Any:
        """The free part of a value of the variable."""
        return x if self.keep is None else _rows(x, self.manifold)[self.keep]


def _rows(x: Any, M: Any) -> Any:
    """Entries of an array, or the copies of a power, along the first axis."""
    return x.reshape(-1) if isinstance(M, Euclidean) else x.reshape(-1, *M.manifold.point_shape)


class Reduction:
    """A smaller manifold, and the way between its points and those of the full one; made by `fix`.

    Attributes
    ----------
    full : Manifold
        M.
    manifold : Manifold
        N, of what is free.
    objective : Objective or callable
        The objective on N.
    p0 : array
        The start point on N.
    source : array of int, shape (M.dim,)
        For each coordinate on M the coordinate on N that it moves with, or -1 where it is fixed.
    """

    def __init__(self, M: Any, p0: Any, fixed: Mapping[str, Any], tied: tuple[tuple[str, ...], ...]) -> None:
        self.full = M
        self.named = isinstance(M, ProductManifold)
        names = M.names if self.named else ("",)
        manifolds = [M[name] for name in names] if self.named else [M]
        values = [np.array(x) for x in (M.split(p0) if self.named else (p0,))]
        self._leader = {name: group[0] for group in tied for name in group}
        self._pieces = {
            name: _piece(name, N, x, fixed.get(name))
            for name, N, x in zip(names, manifolds, values, strict=True)
            if self._leader.get(name, name) == name
        }
        self._names = names
        free = {name: piece.free for name, piece in self._pieces.items() if piece.free is not None}
        if not free:
            raise ValueError("every variable is fixed: there is nothing left to solve for.")
        self.manifold: Any = ProductManifold(**free) if self.named else free[""]
        self.source = self._source(free)
        self.p0 = self.restrict(np.asarray(p0))
        self.objective: Any = None
        self._known: dict[int, Any] = {}
        self._variables: tuple[Any, Any] | None = None

    def _source(self, free: Mapping[str, Any]) -> Any:
        starts, start = {}, 0
        for name, N in free.items():
            starts[name] = start
            start += N.dim
        parts = []
        for name in self._names:
            leader = self._leader.get(name, name)
            own = self._pieces[leader].coordinates
            parts.append(np.where(own >= 0, own + starts.get(leader, 0), -1))
        return np.concatenate(parts)

    def lift(self, q: Any) -> Any:
        """The point of M for a point of N; of any array library."""
        if not self.named:
            return self._pieces[""].lift(q)
        free = dict(zip(self.manifold.names, self.manifold.split(q), strict=True))
        lifted = {name: piece.lift(free.get(name)) for name, piece in self._pieces.items()}
        return self.full.join(*(lifted[self._leader.get(name, name)] for name in self._names))

    def restrict(self, p: Any) -> Any:
        """The point of N with the free parts of a point of M; of tied variables the first counts."""
        if not self.named:
            return np.array(self._pieces[""].restrict(p))
        parts = dict(zip(self._names, self.full.split(p), strict=True))
        return self.manifold.join(*(self._pieces[name].restrict(parts[name]) for name in self.manifold.names))

    def lift_vector(self, q: Any, Y: Any, p: Any = None) -> Any:
        """The tangent vector of M at lift(q) along which it moves when q moves along Y."""
        p = self.lift(q) if p is None else p
        return self.full.get_vector(p, self.lift_coordinates(self.manifold.get_coordinates(q, Y)))

    def restrict_vector(self, q: Any, X: Any, p: Any = None) -> Any:
        """Adjoint of `lift_vector`: the gradient on N of a function with gradient X on M."""
        p = self.lift(q) if p is None else p
        return self.manifold.get_vector(q, self.restrict_coordinates(self.full.get_coordinates(p, X)))

    def lift_coordinates(self, c: Any) -> Any:
        """Coordinates ``(*batch, N.dim)`` as coordinates ``(*batch, M.dim)``, zero for what is fixed."""
        return np.where(self.source >= 0, c[..., self.source], 0.0)

    def restrict_coordinates(self, c: Any) -> Any:
        """The transpose: sums of the coordinates ``(*batch, M.dim)`` that move together."""
        moved = np.flatnonzero(self.source >= 0)
        out = np.zeros((*c.shape[:-1], self.manifold.dim), c.dtype)
        targets: Any = (..., self.source[moved])
        np.add.at(out, targets, c[..., moved])
        return out

    def restrict_jacobian(self, J: Any) -> Any:
        """Jacobian on N from one on M."""
        if isinstance(J, BlockMatrix):
            parts = [own for part in J for own in self._moved(part)]
            return BlockMatrix((J.shape[0], self.manifold.dim), parts, self._moved_variables(J.variables))
        if hasattr(J, "tocsr"):
            from scipy.sparse import csr_array

            moved = np.flatnonzero(self.source >= 0)
            ones = (np.ones(len(moved)), (moved, self.source[moved]))
            return J @ csr_array(ones, shape=(self.full.dim, self.manifold.dim))
        J = dense(J)
        if len(self._leader) == 0:  # columns are left out and keep their order
            return J[:, self.source >= 0]
        return self.restrict_coordinates(J)

    def _moved_variables(self, variables: Any) -> dict[str, tuple[int, int]]:
        """Columns of each variable of which something is free."""
        if self._variables is not None and self._variables[0] == variables:
            return self._variables[1]
        moved = {name: self.source[start:stop] for name, (start, stop) in (variables or {}).items()}
        free = {name: columns[columns >= 0] for name, columns in moved.items()}
        found = {name: (int(c.min()), int(c.max()) + 1) for name, c in free.items() if c.size}
        self._variables = variables, found
        return found

    def _moved(self, part: BlockPart) -> list[BlockPart]:
        """A part of a block matrix with its columns renumbered; those of fixed coordinates become zero."""
        k = part.blocks.shape[2]
        known = self._known.get(id(part.columns))
        if known is None or known[0] is not part.columns or known[1] != k:
            if len(self._known) > 1000:  # columns that are made anew each time
                self._known.clear()
            known = self._known[id(part.columns)] = (part.columns, k, *_moves(part.columns, k, self.source))
        columns, fixed, places = known[2:]
        if fixed is None:
            return [
                part._replace(
                    columns=np.maximum(columns[:, j], 0),
                    places=None,
                    blocks=part.blocks[:, :, j : j + 1] * (columns[:, j] >= 0)[:, None, None],
                )
                for j in range(k)
            ]
        if len(fixed) == len(columns):
            return []
        if len(fixed):
            if part.blocks.base is None or not part.blocks.flags.writeable:
                part = part._replace(blocks=part.blocks.copy())
            part.blocks[fixed] = 0.0
        return [part._replace(columns=columns, places=places)]

    def __repr__(self) -> str:
        return f"Reduction({self.full!r} to {self.manifold!r})"


def _piece(name: str, N: Any, x: Any, fixed: Any) -> _Piece:
    whole = np.arange(N.dim)
    if fixed is None or fixed is False:
        return _Piece(N, N, x, None, whole)
    if fixed is True:
        return _Piece(N, None, x, None, np.full(N.dim, -1))
    keep = _kept(name, N, fixed)
    if len(keep) == len(_rows(x, N)):
        return _Piece(N, N, x, None, whole)
    if len(keep) == 0:
        return _Piece(N, None, x, None, np.full(N.dim, -1))
    new = np.full(len(_rows(x, N)), -1)
    new[keep] = np.arange(len(keep))
    if isinstance(N, Euclidean):
        halves = [np.where(new >= 0, new + i * len(keep), -1) for i in range(N.dim // len(new))]  # real, imaginary
        return _Piece(N, Euclidean(len(keep), field=N.field), x, keep, np.concatenate(halves))
    d = N.manifold.dim
    blocks = np.where(new[:, None] >= 0, new[:, None] * d + np.arange(d), -1)
    return _Piece(N, PowerManifold(N.manifold, len(keep)), x, keep, blocks.reshape(-1))


def _kept(name: str, N: Any, fixed: Any) -> Any:
    """Numbers of the entries or copies that are not fixed."""
    label = f"of {name!r}" if name else "of the point"
    if isinstance(N, Euclidean):
        shape = tuple(N.point_shape)
    elif isinstance(N, PowerManifold):
        shape = tuple(N.copies)
    else:
        raise ValueError(f"{N!r} can be fixed as a whole only: give its name, not {fixed!r}.")
    mask = np.asarray(fixed)
    n = int(np.prod(shape))
    if mask.dtype == bool:
        if mask.shape != shape:
            raise ValueError(f"the mask of what is fixed {label} must have shape {shape}; got {mask.shape}.")
        return np.flatnonzero(~mask.reshape(-1))
    if (
        mask.dtype.kind not in "iu"
        or mask.ndim > 1
        or len(shape) != 1
        or (mask.size and not 0 <= mask.min() <= mask.max() < n)
    ):
        raise ValueError(
            f"what is fixed {label} must be a mask of shape {shape} or numbers in 0..{n - 1}; got {fixed!r}."
        )
    return np.setdiff1d(np.arange(n), mask)


def _moves(columns: Any, k: int, source: Any) -> tuple[Any, Any, Any]:
    """Where blocks of k columns go: first columns, those fixed as a whole, all columns; or all columns, None, None."""
    moved = source[columns[:, None] + np.arange(k)]
    here = moved >= 0
    whole = (here.all(axis=1) | ~here.any(axis=1)).all()
    if whole and (moved == moved[:, :1] + np.arange(k))[here[:, 0]].all():
        return moved[:, 0], np.flatnonzero(~here[:, 0]), np.maximum(moved[:, :1], 0) + np.arange(k)
    return moved, None, None


@dataclass(frozen=True)
class ReducedObjective(Objective):
    """An objective on M as one on the smaller manifold of a `Reduction`.

    Parameters
    ----------
    objective : Objective
    reduction : Reduction
    """

    objective: Objective
    reduction: Reduction

    def bind(self, M: Any, p: Any, counts: Counts) -> Any:
        """Functions of the inner objective, at lifted points."""
        R = self.reduction
        inner = self.objective.bind(R.full, R.lift(p), counts)
        if isinstance(inner, LeastSquaresFunctions):
            return _least_squares(inner, R)
        if isinstance(inner, CostFunctions):
            return _cost(inner, R)
        raise TypeError(f"variables of {type(self.objective).__name__} cannot be fixed; give a cost or residuals.")


def _least_squares(inner: LeastSquaresFunctions, R: Reduction) -> LeastSquaresFunctions:
    def jacobian(q: Any) -> tuple[Any, Any]:
        r, J = inner.jacobian(R.lift(q))
        return r, R.restrict_jacobian(J)

    residual = inner.residual
    lifted = None if residual is None else lambda q: residual(R.lift(q))
    return replace(inner, manifold=R.manifold, residual=lifted, jacobian=jacobian, buffers=None)


def _cost(inner: CostFunctions, R: Reduction) -> CostFunctions:
    def gradient(q: Any) -> tuple[float | None, Any, None]:
        p = R.lift(q)
        f, X, _ = inner.gradient(p)
        return f, R.restrict_vector(q, X, p), None

    def operator(e: Any) -> Callable[[Any], Any]:
        q, p = e.point, R.lift(e.point)
        apply = inner.hessian_operator(inner.evaluation(p, e.counts))
        return lambda Y: R.restrict_vector(q, apply(R.lift_vector(q, Y, p)), p)

    cost, preconditioner = inner.cost, inner.preconditioner
    return replace(
        inner,
        manifold=R.manifold,
        cost=None if cost is None else lambda q: cost(R.lift(q)),
        gradient=gradient,
        hessian_operator=operator,
        preconditioner=None
        if preconditioner is None
        else lambda q, Y: R.restrict_vector(q, preconditioner(R.lift(q), R.lift_vector(q, Y))),
    )


def fix(M: Any, objective: Any, p0: Any, fixed: Any = None, *, tied: Any = None) -> Reduction:
    """Hold variables at their start values, or let several be one.

    Parameters
    ----------
    M : Manifold
        A product for names; masks also work on a single Euclidean space or power.
    objective : Objective or callable
        A cost or residuals on M; a plain function becomes a plain function on the smaller manifold, to be
        differentiated there.
    p0 : array
        Start point on M; what is fixed stays there.
    fixed : str, sequence of str, dict or array, optional
        Names of factors; or a dict of name to True, to a boolean mask of the entries of a Euclidean factor, or to the
        numbers or a mask of the copies of a power; without names the mask or the numbers themselves.
    tied : sequence of sequences of str, optional
        Groups of names that share one variable; it starts where the first one of the group does.

    Returns
    -------
    Reduction
        ``manifold``, ``objective`` and ``p0`` of the smaller problem, and ``lift(q)``.

    Raises
    ------
    ValueError
        On an unknown name, a mask of the wrong shape, tied variables that live on different manifolds, or when nothing
        is left free.

    Examples
    --------
    >>> import numpy as np
    >>> from manifold_opt import CostObjective, Euclidean, ProductManifold, Sphere, fix, gradient_descent
    >>> M = ProductManifold(a=Euclidean(2), b=Euclidean(2))
    >>> f = CostObjective(lambda p: 0.5 * ((p - np.arange(4.0)) ** 2).sum())
    >>> small = fix(M, f, np.zeros(4), {"b": [True, False]})
    >>> result = gradient_descent(small.manifold, small.objective, small.p0)
    >>> np.round(small.lift(result.point), 6) + 0.0
    array([0., 1., 0., 3.])
    """
    p = np.asarray(p0)
    p = p.astype(float) if p.dtype.kind in "iub" else p
    if p.shape != tuple(M.point_shape):
        raise ValueError(f"`p0` must have the shape of a point of {M}, {tuple(M.point_shape)}; got {p.shape}.")
    reduction = Reduction(M, p, _as_fixed(M, fixed), _as_tied(M, tied, fixed))
    if isinstance(objective, Objective):
        reduction.objective = ReducedObjective(objective, reduction)
    elif callable(objective):
        reduction.objective = lambda q: objective(reduction.lift(q))
    else:
        raise TypeError(f"`objective` must be an objective or a function; got {objective!r}.")
    return reduction


def _as_fixed(M: Any, fixed: Any) -> Mapping[str, Any]:
    if fixed is None:
        return {}
    if not isinstance(M, ProductManifold):
        if isinstance(fixed, str | Mapping) or (isinstance(fixed, Iterable) and any(isinstance(x, str) for x in fixed)):
            raise ValueError(f"variables have names on a product only; {M!r} takes a mask or numbers as `fixed`.")
        return {"": np.asarray(fixed)}
    if isinstance(fixed, str):
        fixed = {fixed: True}
    elif not isinstance(fixed, Mapping):
        if not all(isinstance(name, str) for name in fixed):
            raise ValueError(f"`fixed` must name factors of {M!r}, or be a dict of name to mask; got {fixed!r}.")
        fixed = dict.fromkeys(fixed, True)
    _check_names(M, fixed)
    return fixed


def _as_tied(M: Any, tied: Any, fixed: Any) -> tuple[tuple[str, ...], ...]:
    if tied is None:
        return ()
    groups = [tied] if all(isinstance(name, str) for name in tied) else tied
    groups = tuple(tuple(group) for group in groups)
    if not isinstance(M, ProductManifold):
        raise ValueError(f"variables have names on a product only; nothing of {M!r} can be tied.")
    names = [name for group in groups for name in group]
    _check_names(M, names)
    if len(set(names)) < len(names):
        raise ValueError(f"every variable can be tied once only; got {groups!r}.")
    also = set(names) & set(_as_fixed(M, fixed))
    if also:
        raise ValueError(f"{', '.join(map(repr, sorted(also)))} can be fixed or tied, not both.")
    for group in groups:
        if any(M[name] != M[group[0]] for name in group):
            raise ValueError(
                f"tied variables must live on one manifold; got {', '.join(f'{n} on {M[n]!r}' for n in group)}."
            )
    return groups


def _check_names(M: Any, names: Iterable[str]) -> None:
    for name in names:
        if name not in M.names:
            raise ValueError(f"{M!r} has no factor {name!r}; it has {', '.join(map(repr, M.names))}.")
