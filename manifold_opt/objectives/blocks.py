r"""Least squares over named variables: residual blocks and families of them.

A *block* is a residual that depends on some of the variables of a product manifold, with its own loss and weight. A
*family* is many blocks of one kind at once: index arrays say which copies of a power manifold each instance takes, and
the residual function is called once for all of them, with a leading axis for the instances. So are its derivatives:
with m residuals per instance and k coordinates of what it depends on, all Jacobian blocks of a family take
min(m, k) passes of differentiation, however many instances there are.

    M = ProductManifold(poses=PowerManifold(Sphere(2), 100), bias=Euclidean(3))
    ResidualBlock(f, ("poses", "poses", "bias"), indices=(i, j, None), data=(z,))

calls ``f(p_i, p_j, b, z)`` with ``p_i = poses[i]``, ``p_j = poses[j]`` and the one ``b`` repeated, all of shape (N, 3),
and expects residuals of shape (N, m).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from ..linalg import namespace
from ..linalg.block_matrix import BlockMatrix, BlockPart
from ..linalg.memory import Pool
from .base import Objective, check_choice
from .corrections import CORRECTIONS, Groups, Robust
from .evaluation import Counts
from .least_squares import LeastSquaresFunctions
from .losses import LinearLoss, as_loss
from .user_functions import handing_out

BLOCK_JACOBIAN_TYPES = ("coordinates", "euclidean")


@dataclass(frozen=True, eq=False)
class ResidualBlock:
    r"""A residual of some named variables, or a family of N such residuals evaluated at once.

    Parameters
    ----------
    residual : callable
        ``residual(*values, *data)`` with one value per entry of ``variables``. A single block returns m numbers; a
        family (some entry of ``indices`` is given) gets values of shape ``(N, *shape)``, a shared variable repeated,
        and returns ``(N, m)`` or ``(N,)``; row i must depend on row i of the values only.
    variables : str or sequence of str
        Names of factors of the product manifold; a name may occur twice, with different indices.
    indices : sequence of (array of int, or None), optional
        One entry per variable: which copies, for a factor that is a `PowerManifold`; None takes the factor as a whole,
        shared by all instances.
    data : sequence of arrays, optional
        Further arguments, handed over as they are.
    jacobian : callable, optional
        ``jacobian(*values, *data)`` returns one array per variable: ``(N, m, k)`` in orthonormal coordinates of the
        variable (``(m, k)`` for a single block), or ``(N, m, *embedding_shape)``. Default: by differentiation.
    jacobian_type : {"coordinates", "euclidean"}
        What a given Jacobian is.
    loss : str, Loss or callable, optional
        Robust loss of the squared norm of each instance's (weighted) residual.
    weight : float or array of shape (N,), optional
        Factors of the squared norms.
    covariance : array of shape (m, m) or (N, m, m), optional
        Covariance of the noise of an instance's residual: it is whitened by the inverse of a Cholesky factor.
    sqrt_information : array of shape (m, m) or (N, m, m), optional
        The whitening matrix itself: L with L'L the information matrix.
    name : str, optional
        For messages and reports.

    Raises
    ------
    TypeError, ValueError
        On arguments that make no sense, naming them.
    """

    residual: Callable[..., Any]
    variables: Any
    _: KW_ONLY
    indices: Any = None
    data: Any = ()
    jacobian: Any = None
    jacobian_type: str = "coordinates"
    loss: Any = None
    weight: Any = None
    covariance: Any = None
    sqrt_information: Any = None
    name: str | None = None

    def __post_init__(self) -> None:
        for field in ("residual", "jacobian"):
            function = getattr(self, field)
            if not callable(function) and not (field == "jacobian" and function is None):
                raise TypeError(f"`{field}` of a block must be a function of its variables; got {function!r}.")
        names = (self.variables,) if isinstance(self.variables, str) else tuple(self.variables)
        if not names or not all(isinstance(name, str) for name in names):
            raise ValueError(f"`variables` must name the factors that the residual depends on; got {self.variables!r}.")
        object.__setattr__(self, "variables", names)
        object.__setattr__(self, "indices", _checked_indices(self.indices, names))
        object.__setattr__(self, "data", tuple(self.data) if isinstance(self.data, tuple | list) else (self.data,))
        object.__setattr__(self, "loss", as_loss(self.loss))
        check_choice("jacobian_type", self.jacobian_type, BLOCK_JACOBIAN_TYPES)
        if self.name is None:
            object.__setattr__(self, "name", getattr(self.residual, "__name__", "residual"))
        given = [f for f in ("weight", "covariance", "sqrt_information") if getattr(self, f) is not None]
        if len(given) > 1:
            raise ValueError(f"give only one of {' and '.join(given)} to block {self.name!r}.")
        object.__setattr__(self, "_whitening", _whitening(self))

    @property
    def instances(self) -> int | None:
        """N, or None for a single block."""
        return next((len(index) for index in self.indices if index is not None), None)


def _checked_indices(indices: Any, names: tuple[str, ...]) -> tuple[Any, ...]:
    if indices is None:
        return (None,) * len(names)
    indices = (indices,) if isinstance(indices, np.ndarray) else tuple(indices)
    if len(indices) != len(names):
        raise ValueError(f"`indices` needs one entry per variable, {len(names)}; got {len(indices)}.")
    arrays = []
    for name, index in zip(names, indices, strict=True):
        array = None if index is None else np.array(index)
        if array is not None and (array.ndim != 1 or array.dtype.kind not in "iu" or array.size == 0):
            raise ValueError(
                f"the indices of variable {name!r} must be a one-dimensional array of integers; got shape "
                f"{array.shape}, dtype {array.dtype}."
            )
        arrays.append(array)
    lengths = {len(a) for a in arrays if a is not None}
    if len(lengths) > 1:
        raise ValueError(f"all index arrays of a family must have one length; got {sorted(lengths)}.")
    return tuple(arrays)


def _whitening(block: ResidualBlock) -> Any:
    """None, factors of shape (1 or N, 1), or matrices of shape (1 or N, m, m), to be applied to residuals (N, m)."""
    if block.weight is not None:
        w = np.atleast_1d(np.asarray(block.weight, dtype=float))
        if w.ndim != 1 or not np.isfinite(w).all() or (w < 0.0).any():
            raise ValueError(
                f"`weight` of block {block.name!r} must be one number or one per instance, finite and >= 0."
            )
        return np.sqrt(w)[:, None]
    if block.sqrt_information is not None:
        return _matrices(block, "sqrt_information")
    if block.covariance is None:
        return None
    try:
        K = np.linalg.cholesky(_matrices(block, "covariance"))
    except np.linalg.LinAlgError:
        raise ValueError(f"`covariance` of block {block.name!r} must be symmetric positive definite.") from None
    return np.linalg.inv(K)


def _matrices(block: ResidualBlock, field: str) -> Any:
    A = np.asarray(getattr(block, field), dtype=float)
    A = np.ascontiguousarray(A[None] if A.ndim == 2 else A)
    if A.ndim != 3 or A.shape[1] != A.shape[2] or not np.isfinite(A).all():
        raise ValueError(f"`{field}` of block {block.name!r} must have shape (m, m) or (N, m, m) and be finite.")
    return A


@dataclass(frozen=True)
class BlockObjective(Objective):
    """The cost 1/2 sum of losses of the squared norms of residual blocks, over a product manifold.

    Parameters
    ----------
    blocks : sequence of ResidualBlock
    correction : {"triggs", "irls"}
        See `NonlinearLeastSquaresObjective`.
    autodiff : str
        Where missing Jacobians come from, see `CostObjective`.

    Raises
    ------
    TypeError
        When something else than blocks is given.
    """

    blocks: Any
    _: KW_ONLY
    correction: str = "triggs"
    autodiff: str = "auto"

    def __post_init__(self) -> None:
        blocks = (self.blocks,) if isinstance(self.blocks, ResidualBlock) else tuple(self.blocks)
        if not blocks or not all(isinstance(block, ResidualBlock) for block in blocks):
            raise TypeError("`blocks` must be one or more ResidualBlock(residual, variables, ...).")
        object.__setattr__(self, "blocks", blocks)
        check_choice("correction", self.correction, CORRECTIONS)

    def bind(self, M: Any, p: Any, counts: Counts) -> LeastSquaresFunctions:
        """Functions on M, their derivatives resolved at p."""
        columns = _first_columns(M)
        bound = [_BoundBlock(block, M, p, columns, self.autodiff) for block in self.blocks]
        shape = sum(b.n * b.m for b in bound), M.dim
        variables = {name: (start, start + M[name].dim) for name, start in columns.items()}

        def residual(p: Any) -> Any:
            return np.concatenate([b.residual(p).reshape(-1) for b in bound])

        def jacobian(p: Any) -> tuple[None, BlockMatrix]:
            row, parts = 0, []
            for b in bound:
                parts += [BlockPart(row, c, blocks, at) for c, blocks, at in b.jacobian(p)]
                row += b.n * b.m
            return None, BlockMatrix(shape, parts, variables)

        robust = None
        if any(block.loss is not None for block in self.blocks):
            groups = (Groups(b.n, b.m, b.block.loss or LinearLoss()) for b in bound)
            robust = Robust(tuple(groups), self.correction)
        given = any(block.jacobian is not None for block in self.blocks)
        checked: Any = jacobian
        if any(b.exact for b in bound) and not given:
            # one random difference against derivatives that come from differentiation
            from ..autodiff import check_residual_jacobian

            first = jacobian(p)
            counts["check"] += check_residual_jacobian(residual, first[1], M, p)
            checked = handing_out(jacobian, p, first)
        counted = (("jacobian", 1), ("residual", max(b.calls for b in bound)))
        return LeastSquaresFunctions(M, residual, checked, counted, given, robust)


def _first_columns(M: Any) -> dict[str, int]:
    """First coordinate of each factor of a product."""
    if not hasattr(M, "names"):
        raise TypeError(
            f"residual blocks name their variables, so they need a ProductManifold of named factors; got {M!r}. "
            "Write ProductManifold(x=...)."
        )
    columns, start = {}, 0
    for name in M.names:
        columns[name] = start
        start += M[name].dim
    return columns


def _raw(block: ResidualBlock, n: int, values: list[Any]) -> Any:
    """Residuals of shape (N, m), not whitened; of any array library."""
    single = block.instances is None
    r = block.residual(*([x[0] for x in values] if single else values), *block.data)
    xp, shape = namespace(r), tuple(np.shape(r))
    if single:
        return xp.reshape(r, (1, -1))
    if not shape or shape[0] != n or len(shape) > 2:
        raise ValueError(
            f"family {block.name!r} must return its residuals in shape ({n}, m); it returned {shape}."
        )
    return xp.reshape(r, (n, -1))


class _BoundBlock:
    """A block at work: gathers its variables, evaluates, differentiates, whitens."""

    def __init__(self, block: ResidualBlock, M: Any, p: Any, columns: dict[str, int], autodiff: str) -> None:
        self.block, self.M = block, M
        self.order = {name: i for i, name in enumerate(M.names)}
        self.manifolds, self.columns = [], []
        n = block.instances
        self.n = 1 if n is None else n
        for name, index in zip(block.variables, block.indices, strict=True):
            base, first = self._variable(name, index, columns)
            self.manifolds.append(base)
            self.columns.append(np.broadcast_to(first, (self.n,)))
        self._pool = Pool()
        self.ends = np.cumsum([0, *(N.dim for N in self.manifolds)]).tolist()
        # the column of each number, found once: parts of one array
        places = np.concatenate(
            [c[:, None] + np.arange(N.dim) for c, N in zip(self.columns, self.manifolds, strict=True)], axis=1
        )
        self.places = [places[:, a:b] for a, b in zip(self.ends[:-1], self.ends[1:], strict=True)]
        self.m = 0
        self.m = _raw(self.block, self.n, self.gather(p)).shape[1]
        self._check_whitening()
        self.exact, self.calls = False, 0
        self._linearize: Any = None
        self._along: _Along | None = None
        self._split: Any = None
        if block.jacobian is None:
            self._resolve(p, autodiff)

    def _variable(self, name: str, index: Any, columns: dict[str, int]) -> tuple[Any, Any]:
        """Manifold of one instance of a variable, and the first column of each."""
        if name not in columns:
            raise ValueError(
                f"block {self.block.name!r} depends on {name!r}, which {self.M!r} does not have; it has "
                f"{', '.join(map(repr, columns))}."
            )
        factor = self.M[name]
        if index is None:
            return factor, columns[name]
        copies: tuple[int, ...] = getattr(factor, "copies", ())
        if len(copies) != 1:
            raise ValueError(
                f"block {self.block.name!r} indexes {name!r}, which is no PowerManifold(..., n): {factor!r}."
            )
        if index.min() < 0 or index.max() >= copies[0]:
            raise ValueError(
                f"block {self.block.name!r}: indices of {name!r} must be in 0..{copies[0] - 1}; got "
                f"{index.min()}..{index.max()}."
            )
        return factor.manifold, columns[name] + index * factor.manifold.dim

    def gather(self, p: Any) -> list[Any]:
        """Values of the variables, of shape (N, *shape)."""
        parts = self.M.split(p)
        values = [parts[self.order[name]] for name in self.block.variables]
        return [
            np.broadcast_to(v, (self.n, *v.shape)) if index is None else v.take(index, axis=0)
            for v, index in zip(values, self.block.indices, strict=True)
        ]

    def residual(self, p: Any) -> Any:
        """Whitened residuals of shape (N, m)."""
        r = np.asarray(_raw(self.block, self.n, self.gather(p)))
        if r.shape[1] != self.m:
            raise ValueError(f"block {self.block.name!r} returned {r.shape[1]} residuals, at first {self.m}.")
        W = self.block._whitening  # type: ignore[attr-defined]  # set in __post_init__
        if W is None:
            return r
        return W * r if W.ndim == 2 else np.einsum("nij,nj->ni", np.broadcast_to(W, (self.n, *W.shape[1:])), r)

    def jacobian(self, p: Any) -> list[tuple[Any, Any, Any]]:
        """First columns, whitened blocks (N, m, k), and the column of each number (N, k), of each variable."""
        W = self.block._whitening  # type: ignore[attr-defined]  # set in __post_init__
        blocks = self._derivatives(p)
        if len(blocks) == 1 and W is None:
            return [(self.columns[0], blocks[0], self.places[0])]
        # side by side in one array, which later products take as a whole
        B = blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=2, out=self._memory(blocks))
        if W is not None:
            scaled, factors = (np.multiply, W[..., None]) if W.ndim == 2 else (np.matmul, W)
            B = scaled(factors, B, out=self._memory([B, W]))
        parts = [B[:, :, a:b] for a, b in zip(self.ends[:-1], self.ends[1:], strict=True)]
        return list(zip(self.columns, parts, self.places, strict=True))

    def _memory(self, arrays: list[Any]) -> Any:
        """Memory for all blocks side by side."""
        dtype, K = np.result_type(*arrays), self.ends[-1]
        if arrays[0].strides[0] == arrays[0].itemsize:  # instances last in memory, as they came
            return self._pool.take((self.m, K, self.n), dtype).transpose(2, 0, 1)
        return self._pool.take((self.n, self.m, K), dtype)

    def _check_whitening(self) -> None:
        W = self.block._whitening  # type: ignore[attr-defined]  # set in __post_init__
        if W is not None and (W.shape[0] not in (1, self.n) or (W.ndim == 3 and W.shape[1] != self.m)):
            raise ValueError(
                f"block {self.block.name!r} has {self.n} instances of {self.m} residuals; its weight or covariance has "
                f"shape {W.shape}."
            )

    # derivatives

    def _given(self, values: list[Any]) -> list[Any]:
        single = self.block.instances is None
        arrays = self.block.jacobian(*([x[0] for x in values] if single else values), *self.block.data)
        arrays = [arrays] if isinstance(arrays, np.ndarray) else list(arrays)
        if len(arrays) != len(values):
            raise ValueError(
                f"the Jacobian of block {self.block.name!r} must return one array per variable, {len(values)}; it "
                f"returned {len(arrays)}."
            )
        euclidean = self.block.jacobian_type == "euclidean"
        blocks = []
        for name, N, x, A in zip(self.block.variables, self.manifolds, values, arrays, strict=True):
            shape = (self.n, self.m, *(N.embedding_shape if euclidean else (N.dim,)))
            A = np.asarray(A, dtype=float)
            if A.shape not in (shape, shape[1:]):
                raise ValueError(
                    f"the Jacobian of block {self.block.name!r} by {name!r} must have shape {shape}; it has {A.shape}."
                )
            A = A if A.shape == shape else np.broadcast_to(A, shape)
            blocks.append(self._coordinates(N, x, N.riemannian_gradient, A) if euclidean else A)
        return blocks

    def _coordinates(self, N: Any, x: Any, convert: Callable[..., Any], G: Any) -> Any:
        """Coordinates (N, m, k) of gradients (N, m, *shape) after conversion."""
        x = x[:, None]
        return N.get_coordinates(x, convert(x, G))

    def _derivatives(self, p: Any) -> list[Any]:
        """Blocks (N, m, k), not whitened."""
        values = self.gather(p)
        if self.block.jacobian is not None:
            return self._given(values)
        if self._linearize is None:
            return self._differences(values)
        if self._along is not None and self._along.wide:
            return self._along(values, self._directions(p, values))
        at = self._linearize(np.concatenate([x.reshape(-1) for x in values]))
        k = sum(N.dim for N in self.manifolds)
        return self._reverse(at, values, self._split) if self.m <= k else self._forward(at, values)

    def _directions(self, p: Any, values: list[Any]) -> list[Any]:
        """Derivatives of the gathered values along their coordinates, each (k, x.size); made once per copy."""
        parts, known, directions = self.M.split(p), {}, []
        for name, index, N, x in zip(self.block.variables, self.block.indices, self.manifolds, values, strict=True):
            copies = parts[self.order[name]]
            if index is None or len(copies) > self.n:
                directions.append(_coordinate_directions(N, x))
                continue
            if name not in known:
                known[name] = _coordinate_directions(N, copies).reshape(N.dim, len(copies), -1)
            directions.append(known[name].take(index, axis=1).reshape(N.dim, x.size))
        return directions

    def _resolve(self, p: Any, autodiff: str) -> None:
        """Choose how to differentiate. What is kept holds nothing of this object, so that its memory goes with it."""
        from ..autodiff import choose_backend
        from ..autodiff.backend import MANY_COLUMNS

        full = self.gather(p)
        shapes = [x.shape for x in full]
        ends = np.cumsum([x.size for x in full]).tolist()
        block, n = self.block, self.n

        def split(x: Any) -> list[Any]:
            xp = namespace(x)
            return [xp.reshape(x[b - int(np.prod(s)) : b], s) for b, s in zip(ends, shapes, strict=True)]

        def flat(x: Any) -> Any:
            r = _raw(block, n, split(x))
            return namespace(r).reshape(r, (-1,))

        start = np.concatenate([x.reshape(-1) for x in full])
        backend = choose_backend(autodiff, flat, start)
        if not hasattr(backend, "linearize"):
            self.calls = 2 * sum(N.dim for N in self.manifolds)
            return
        self.exact = True
        self._linearize, self._split = backend.linearize(flat), split
        if backend.name == "autograd" and all(N.dim <= MANY_COLUMNS for N in self.manifolds):
            self._along = _Along(backend, block, n, MANY_COLUMNS)

    def _reverse(self, at: Any, full: list[Any], split: Callable[[Any], list[Any]]) -> list[Any]:
        """Blocks from m pulled cotangents, each of one residual of all instances at once."""
        W = np.tile(np.eye(self.m), self.n)
        pulled = [split(row) for row in at.pull(W)]
        blocks = []
        for i, (N, x) in enumerate(zip(self.manifolds, full, strict=True)):
            G = np.stack([row[i] for row in pulled], axis=1)
            blocks.append(self._coordinates(N, x, N.riemannian_gradient_from_storage, G))
        return blocks

    def _forward(self, at: Any, full: list[Any]) -> list[Any]:
        """Blocks from pushed basis vectors, each moving one coordinate of all instances at once."""
        size = sum(x.size for x in full)
        V, start = np.zeros((sum(N.dim for N in self.manifolds), size)), 0
        row = 0
        for N, x in zip(self.manifolds, full, strict=True):
            V[row : row + N.dim, start : start + x.size] = _coordinate_directions(N, x)
            row, start = row + N.dim, start + x.size
        columns = at.push(V).reshape(self.n, self.m, -1)
        return np.split(columns, np.cumsum([N.dim for N in self.manifolds])[:-1], axis=2)

    def _differences(self, values: list[Any]) -> list[Any]:
        """Blocks by central differences along the retraction, one coordinate of all instances at a time."""
        blocks = []
        for i, (N, x) in enumerate(zip(self.manifolds, values, strict=True)):
            h = np.finfo(x.dtype).eps ** (1 / 3)
            retract = N.get_retraction(None)
            B = np.empty((self.n, self.m, N.dim))
            for a in range(N.dim):
                E = N.get_vector(x, np.broadcast_to(np.eye(N.dim)[a], (self.n, N.dim)))
                # steps in proportion to the numbers moved, at least h
                size = h * np.maximum(1.0, np.abs(x).reshape(self.n, -1).max(axis=1))
                moved = ([*values[:i], retract(x, E, t), *values[i + 1 :]] for t in (size, -size))
                plus, minus = (np.asarray(_raw(self.block, self.n, other)) for other in moved)
                B[:, :, a] = (plus - minus) / (2.0 * size)[:, None]
            blocks.append(B)
        return blocks


class _Along:
    """Derivatives of a family by one variable after the other, along all of its coordinates at once.

    What depends on other variables only is computed once, without derivatives. Rules of autograd's for all columns are
    needed; `wide` is 0 once one was missing.
    """

    def __init__(self, backend: Any, block: ResidualBlock, n: int, wide: int) -> None:
        self.n, self.wide = n, wide
        held: list[Any] = []  # the values of all variables, while they are used

        def by(i: int) -> Callable[[Any], Any]:
            def residual(x: Any) -> Any:
                xp = namespace(x)
                r = _raw(block, n, [*held[:i], xp.reshape(x, held[i].shape), *held[i + 1 :]])
                return namespace(r).reshape(r, (-1,))

            return residual

        self._held = held
        self._linearize = [backend.linearize(by(i)) for i in range(len(block.variables))]

    def __call__(self, values: list[Any], directions: list[Any]) -> list[Any]:
        """Blocks (N, m, k) by each variable, from the derivatives of its values along its coordinates."""
        self._held[:] = values
        try:
            return [self._columns(*each) for each in zip(self._linearize, values, directions, strict=True)]
        finally:
            self._held.clear()

    def _columns(self, linearize: Callable[[Any], Any], x: Any, V: Any) -> Any:
        at = linearize(x.reshape(-1))
        J = at.push(V)
        self.wide = min(self.wide, at.wide)
        return J.reshape(self.n, -1, len(V))


def _coordinate_directions(N: Any, x: Any) -> Any:
    """Derivatives of the stored points x, (n, *shape), along each coordinate of all of them at once: (k, x.size)."""
    c = np.broadcast_to(np.eye(N.dim)[:, None], (N.dim, len(x), N.dim))
    base = np.broadcast_to(x, (N.dim, *x.shape))
    return N.storage_vector(base, N.get_vector(base, c)).reshape(N.dim, x.size)


def is_blocks(residual: Any) -> bool:
    """Whether a residual is given as blocks."""
    return isinstance(residual, ResidualBlock) or (
        isinstance(residual, Sequence) and any(isinstance(block, ResidualBlock) for block in residual)
    )
