r"""Nonlinear least squares: the cost f(p) = 1/2 |r(p)|^2 of a residual r : M -> R^m, or 1/2 sum_b rho(|r_b(p)|^2).

The Jacobian is kept as the matrix J of the differential of r in orthonormal coordinates of the tangent space, so that
the gradient has the coordinates J'r, and the Gauss-Newton model of f along the tangent vector with coordinates s is
1/2 |r + J s|^2. `LeastSquaresObjective` removes the user's conventions once, at the first point; see `JACOBIAN_TYPES`
for what a given Jacobian may be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from ..linalg import namespace
from ..linalg.solvers import dense
from ..manifolds import Euclidean
from .base import Objective, check_choice
from .corrections import CORRECTIONS, Groups, Robust, one_loss
from .evaluation import Counts, Evaluation
from .losses import LinearLoss, as_loss
from .user_functions import FreshArrays, calling_convention, check_written, handing_out, unwritten

_PLAIN = Robust((Groups(None, 1, LinearLoss()),))

JACOBIAN_TYPES = ("coordinates", "gradients", "euclidean", "operator")


class LeastSquaresEvaluation(Evaluation):
    """Residuals, Jacobian, cost and gradient at one point.

    Attributes
    ----------
    point : array
    residuals : array of shape (m,)
    jacobian : array of shape (m, dim)
        In orthonormal coordinates; may be a sparse matrix or an operator where the user gave one.
    cost : float
        1/2 |residuals|^2, or 1/2 sum of the losses.
    weights : array of shape (number of groups,)
        rho' of the squared norm of each group of residuals: 1 for an inlier, less for an outlier.
    model_residuals, model_jacobian : array
        The pair (r, J) whose Gauss-Newton model has the gradient of the cost and about its curvature; the raw ones
        without a loss.
    gradient_coordinates : array of shape (dim,)
        J'(rho' r), exact.
    gradient : array
        The Riemannian gradient, a stored tangent vector.
    gradient_norm : float
    """

    __slots__ = (
        "_cost",
        "_gradient",
        "_gradient_coordinates",
        "_gradient_norm",
        "_jacobian",
        "_losses",
        "_model",
        "_residuals",
    )
    quantities: ClassVar[tuple[str, ...]] = (
        "residuals",
        "jacobian",
        "cost",
        "gradient_coordinates",
        "gradient",
        "gradient_norm",
    )
    functions: LeastSquaresFunctions

    def __init__(self, functions: LeastSquaresFunctions, point: Any, counts: Counts) -> None:
        self.functions = functions
        self.point = point
        self.counts = counts
        unknown: Any = None
        self._residuals = self._jacobian = self._cost = self._losses = self._model = unknown
        self._gradient_coordinates = self._gradient = self._gradient_norm = unknown

    @property
    def residuals(self) -> Any:
        """r(p), of shape (m,)."""
        if self._residuals is None:
            self.functions.fill_residuals(self)
        return self._residuals

    @property
    def jacobian(self) -> Any:
        """J(p) in orthonormal coordinates, of shape (m, dim)."""
        if self._jacobian is None:
            self.functions.fill_jacobian(self)
        return self._jacobian

    @property
    def cost(self) -> float:
        """1/2 |r(p)|^2, or 1/2 the sum of the losses."""
        value = self._cost
        if value is None:
            if self.functions.robust is None:
                r = self.residuals
                value = 0.5 * float(r.dot(r))
            else:
                value = 0.5 * float(self.losses[0].sum())
            self._cost = value
        return value

    @property
    def losses(self) -> tuple[Any, Any, Any]:
        """Values rho, rho' and rho'' of the squared norm of each group of residuals."""
        if self._losses is None:
            self._losses = self.functions.losses(self.residuals)
        return self._losses

    @property
    def weights(self) -> Any:
        """Derivative rho' of the loss at the squared norm of each group of residuals."""
        return self.losses[1]

    @property
    def model_residuals(self) -> Any:
        """Residuals of the Gauss-Newton model."""
        return self.residuals if self.functions.robust is None else self._corrected()[0]

    @property
    def model_jacobian(self) -> Any:
        """Jacobian of the Gauss-Newton model."""
        return self.jacobian if self.functions.robust is None else self._corrected()[1]

    def _corrected(self) -> tuple[Any, Any]:
        if self._model is None:
            self._model = self.functions.corrected(self.residuals, self.jacobian, self.losses)
        return self._model

    @property
    def gradient_coordinates(self) -> Any:
        """J'r, the coordinates of the Riemannian gradient."""
        if self._gradient_coordinates is None:
            J, r = self.jacobian, self.residuals
            if self.functions.robust is not None:
                r = r * self.functions.robust.expand(self.weights)
            self._gradient_coordinates = r.dot(J) if type(J) is np.ndarray else J.T @ r
        return self._gradient_coordinates

    @property
    def gradient(self) -> Any:
        """Riemannian gradient of f at p."""
        if self._gradient is None:
            self._gradient = self.functions.manifold.get_vector(self.point, self.gradient_coordinates)
        return self._gradient

    @property
    def gradient_norm(self) -> float:
        """|J'r|, the Riemannian norm of the gradient."""
        value = self._gradient_norm
        if value is None:
            g = self.gradient_coordinates
            value = self._gradient_norm = math.sqrt(g.dot(g))
        return value

    def release(self) -> None:
        """Give the memory of the residuals and the Jacobian back for reuse; the small results stay."""
        self.functions.recycle(self._residuals, self._jacobian)
        self._residuals = self._jacobian = self._model = None

    @staticmethod
    def picklable(name: str) -> bool:
        """All of it is data, but for operators, see `__getstate__`."""
        return True

    def __getstate__(self) -> dict[str, Any]:
        values = super().__getstate__()
        J = values.get("jacobian")
        if not isinstance(J, np.ndarray) and not hasattr(J, "tocsr"):
            values["jacobian"] = None  # an operator holds functions; it is made again when needed
        return values

    def __setstate__(self, values: dict[str, Any]) -> None:
        super().__setstate__(values)
        self._losses = self._model = None  # made again from the residuals


@dataclass(frozen=True)
class LeastSquaresFunctions:
    """Run-time side of a least-squares objective on one manifold.

    Attributes
    ----------
    manifold : Manifold
    residual : callable or None
        p -> r(p); None where it comes with the Jacobian only.
    jacobian : callable
        p -> (r(p) or None, J(p)).
    counted : tuple of (str, int)
        What one call of ``jacobian`` counts.
    given_jacobian : bool
    robust : Robust or None
        Losses and how the residuals are grouped; None for plain least squares.
    buffers : Buffers or None
        Memory of in-place functions, handed out and taken back.
    """

    manifold: Any
    residual: Callable[[Any], Any] | None
    jacobian: Callable[[Any], tuple[Any, Any]]
    counted: tuple[tuple[str, int], ...] = (("jacobian", 1),)
    given_jacobian: bool = False
    robust: Robust | None = None
    buffers: Buffers | None = None

    def evaluation(self, p: Any, counts: Counts) -> LeastSquaresEvaluation:
        """Lazy evaluation at p."""
        return LeastSquaresEvaluation(self, p, counts)

    def fill_residuals(self, e: LeastSquaresEvaluation) -> None:
        """Compute the residuals at ``e``."""
        if self.residual is None:
            self.fill_jacobian(e)
        else:
            e.counts["residual"] += 1
            e._residuals = self.residual(e.point)

    def fill_jacobian(self, e: LeastSquaresEvaluation) -> None:
        """Compute the Jacobian at ``e``, and keep the residuals that come with it where none are known."""
        for name, n in self.counted:
            e.counts[name] += n
        residuals, e._jacobian = self.jacobian(e.point)
        if e._residuals is None and residuals is not None:
            e._residuals = residuals

    def losses(self, r: Any) -> tuple[Any, Any, Any]:
        """Values rho, rho' and rho'' of the groups of residuals r."""
        return (self.robust or _PLAIN).evaluate(r)

    def corrected(self, r: Any, J: Any, losses: tuple[Any, Any, Any]) -> tuple[Any, Any]:
        """The pair of residuals and Jacobian whose plain Gauss-Newton model stands for the robust cost."""
        return (self.robust or _PLAIN).corrected(r, J, losses)

    def offer(self, residuals: Any, jacobian: Any) -> None:
        """Let in-place functions use these arrays, or None, first."""
        if self.buffers is not None:
            self.buffers.offer(residuals, jacobian)

    def recycle(self, residuals: Any, jacobian: Any) -> None:
        """Take back the memory of an evaluation that nobody needs any more."""
        if self.buffers is not None:
            self.buffers.give_back(residuals, jacobian)

    def mapped(self, wrap: Callable[[str, Callable[..., Any]], Callable[..., Any]]) -> LeastSquaresFunctions:
        """The same functions, each passed through ``wrap(name, function)``."""
        return replace(
            self,
            residual=self.residual and wrap("residual", self.residual),
            jacobian=wrap("jacobian", self.jacobian),
            buffers=None,
        )

    def scaled(self, factor: float) -> LeastSquaresFunctions:
        """Functions of ``factor * f``: residuals and Jacobian times its root."""
        if factor < 0.0:
            raise ValueError(f"a least-squares objective can be scaled by a positive factor only; got {factor!r}.")
        if self.robust is not None:
            return replace(self, robust=self.robust.scaled(factor))
        root = math.sqrt(factor)
        residual, jacobian = self.residual, self.jacobian

        def scaled_jacobian(p: Any) -> tuple[Any, Any]:
            r, J = jacobian(p)
            return None if r is None else root * r, root * J

        return replace(
            self, residual=residual and (lambda p: root * residual(p)), jacobian=scaled_jacobian, buffers=None
        )


class Buffers:
    """Memory for in-place residuals and Jacobians: two arrays of each circulate, however long the run."""

    __slots__ = ("jacobians", "residuals")

    def __init__(self) -> None:
        self.residuals = _Pool("residual")
        self.jacobians = _Pool("jacobian")

    def offer(self, residuals: Any, jacobian: Any) -> None:
        """Use arrays of the user's (or None) before any others."""
        self.residuals.offer(residuals)
        self.jacobians.offer(jacobian)

    def give_back(self, residuals: Any, jacobian: Any) -> None:
        """Take back arrays that nobody needs any more."""
        self.residuals.give_back(residuals)
        self.jacobians.give_back(jacobian)


class _Pool:
    """Arrays that an in-place function fills, one after the other."""

    __slots__ = ("_checked", "_free", "_given", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._free: list[Any] = []
        self._given: Any = None
        self._checked = False

    def filled(self, function: Callable[[Any], Any], shape: tuple[int, ...], dtype: Any) -> Any:
        """Let ``function(array)`` fill a free array, or a new one."""
        array = self.take(shape, dtype)
        function(array)
        self.check(array)
        return array

    def take(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """A free array of this shape, or a new one."""
        given = self._given
        if given is not None:
            dtype = given.dtype
            if given.shape != shape or dtype.kind != "f":
                raise ValueError(
                    f"the buffer given for the values of `{self.name}` must be an array of floats of shape {shape}; it "
                    f"has shape {given.shape} and dtype {dtype}."
                )
        while self._free:
            array = self._free.pop()
            if array.shape == shape and array.dtype == dtype:
                return array
        if given is not None:
            return given.copy()  # with its kind, its pattern, and the entries that are never written
        return np.empty(shape, dtype) if self._checked else unwritten(shape, dtype)

    def check(self, array: Any) -> None:
        """See to it, once, that the function has filled the whole array."""
        if not self._checked and self._given is None:
            check_written(array, self.name)
        self._checked = True

    def offer(self, array: Any) -> None:
        """Use this array before any others, and copies of it after."""
        if array is not None:
            self._given = array
            self._free = [array]

    def give_back(self, array: Any) -> None:
        """Offer an array for reuse; beyond the two that can be in use they are let go."""
        free = self._free
        if array is not None and len(free) < 2 and not any(array is other for other in free):
            free.append(array)


@dataclass(frozen=True)
class NonlinearLeastSquaresObjective(Objective):
    r"""The cost f(p) = 1/2 |r(p)|^2 for a residual r from the manifold to R^m.

    Parameters
    ----------
    residual : callable, InPlace, Fused, or sequence of callables
        ``residual(p)`` returns an array of m numbers (any shape, raveled); a sequence of functions gives the residuals
        one after the other, each a number or an array. ``Fused(f)`` returns ``(residual, jacobian)``.
        ``InPlace(f)`` fills ``f(p, out)`` and needs ``num_residuals``.
    jacobian : callable, InPlace, or sequence of callables, optional
        Derivative of the residual, of the kind ``jacobian_type``. Default: by differentiation.
    jacobian_type : {"coordinates", "gradients", "euclidean", "operator"}
        * ``"coordinates"``: matrix ``(m, dim)`` of derivatives along the vectors of ``jacobian_basis``; an array or
          a SciPy sparse matrix.
        * ``"gradients"``: the Riemannian gradients of the residuals, ``(m, *vector_shape)``.
        * ``"euclidean"``: partial derivatives in the embedding, ``(m, *embedding_shape)``.
        * ``"operator"``: a ``scipy.sparse.linalg.LinearOperator`` of shape ``(m, dim)`` in coordinates.

        A sequence of functions, one per residual, is accepted for ``"gradients"`` and ``"euclidean"``.
    jacobian_basis : optional
        Basis of the tangent spaces for ``"coordinates"``, as ``M.get_basis(p, basis)`` takes it, or a function
        ``p -> (dim, *vector_shape)``; need not be orthonormal. Default: the manifold's orthonormal one.
    num_residuals : int, optional
        m; required for an in-place residual, checked otherwise.
    loss : str, Loss or callable, optional
        Robust loss of the squared residuals, see `manifold_opt.objectives.losses`; default none.
    residual_size : int
        How many consecutive residuals form a group whose squared norm is the argument of one loss: 1 (default) for
        independent numbers, 2 for points in a picture, ...
    correction : {"triggs", "irls"}
        Gauss-Newton model of the robust cost: with the curvature of the loss as far as it leaves the model convex
        (Triggs et al. 1999), or with reweighted residuals only.
    autodiff : str
        Where a missing Jacobian comes from, see `CostObjective`.
    jacobian_sparsity : array or SciPy sparse matrix of shape (m, dim), or "detect", optional
        Where a missing Jacobian can have numbers: it is then a sparse matrix, and coordinates that share no residual
        are differentiated together. ``"detect"`` finds out, at the first point, by making one variable after the other
        NaN.

    Raises
    ------
    TypeError
        When something that must be a function is not.
    ValueError
        On an unknown ``jacobian_type``, a Jacobian given twice, a sequence of Jacobians for a matrix type, an in-place
        residual without ``num_residuals``.
    """

    residual: Any
    jacobian: Any = None
    _: KW_ONLY
    jacobian_type: str = "coordinates"
    jacobian_basis: Any = None
    num_residuals: int | None = None
    loss: Any = None
    residual_size: int = 1
    correction: str = "triggs"
    autodiff: str = "auto"
    jacobian_sparsity: Any = field(default=None, compare=False)

    def __post_init__(self) -> None:
        check_choice("jacobian_type", self.jacobian_type, JACOBIAN_TYPES)
        check_choice("correction", self.correction, CORRECTIONS)
        object.__setattr__(self, "loss", as_loss(self.loss))
        _check_count("residual_size", self.residual_size)
        for name in ("residual", "jacobian"):
            value = getattr(self, name)
            if isinstance(value, Sequence):
                object.__setattr__(self, name, tuple(value))
        if self.residual is None:
            raise TypeError("`residual` is missing: give a function of a point, or a sequence of them.")
        fused = inplace = False
        for function in _as_tuple(self.residual):
            _, f, i = calling_convention(function, "residual")
            fused, inplace = fused or f, inplace or i
        for function in _as_tuple(self.jacobian):
            calling_convention(function, "jacobian")
        self._check_combination(fused, inplace)

    def _check_combination(self, fused: bool, inplace: bool) -> None:
        if fused and self.jacobian is not None:
            raise ValueError("`residual` is Fused and brings its Jacobian: leave out `jacobian=`.")
        pattern = self.jacobian_sparsity
        if pattern is not None:
            if self.jacobian is not None or fused:
                raise ValueError("`jacobian_sparsity` is for a Jacobian that is not given; this one is.")
            if isinstance(pattern, str) and pattern != "detect":
                raise ValueError(f"`jacobian_sparsity` must be a matrix or 'detect'; got {pattern!r}.")
        if isinstance(self.residual, tuple):
            if fused or inplace:
                raise ValueError("a sequence of residuals takes plain functions; Fused and InPlace need a single one.")
            if not self.residual:
                raise ValueError("`residual` is an empty sequence: give at least one function.")
        if isinstance(self.jacobian, tuple) and self.jacobian_type not in ("gradients", "euclidean"):
            raise ValueError(
                f"a sequence of Jacobian functions gives one gradient each; with jacobian_type={self.jacobian_type!r} "
                "give one function for the whole matrix, or jacobian_type='gradients' or 'euclidean'."
            )
        m = self.num_residuals
        if m is not None:
            _check_count("num_residuals", m)
        if inplace and m is None:
            raise ValueError(
                "`residual` is InPlace, so the length of its buffer must be known: give num_residuals=m "
                "(or the buffer itself as `residuals=` of the state)."
            )
        if self.jacobian_basis is not None and self.jacobian_type != "coordinates":
            raise ValueError("`jacobian_basis` belongs to jacobian_type='coordinates'.")

    def bind(self, M: Any, p: Any, counts: Counts) -> LeastSquaresFunctions:
        """Functions on M, their derivatives resolved at p."""
        return _Binding(self, M, p, counts).functions()


def _check_count(name: str, n: Any) -> None:
    if not isinstance(n, int | np.integer) or isinstance(n, bool) or n < 1:
        raise ValueError(f"`{name}` must be a positive integer; got {n!r}.")


def _as_tuple(functions: Any) -> tuple[Any, ...]:
    return functions if isinstance(functions, tuple) else (functions,)


class _Binding:
    """Resolves the conventions of one least-squares objective at the first point."""

    def __init__(self, objective: NonlinearLeastSquaresObjective, M: Any, p: Any, counts: Counts) -> None:
        self.objective, self.M, self.p, self.counts = objective, M, p, counts
        self.m = objective.num_residuals
        self.buffers = Buffers()
        self.inplace_jacobian = False
        self.fused = self.inplace = False
        self.function: Any
        if isinstance(objective.residual, tuple):
            self.function = _stacked(objective.residual)
        else:
            self.function, self.fused, self.inplace = calling_convention(objective.residual, "residual")
        if self.fused:
            self.inplace_jacobian = self.inplace
        elif not isinstance(objective.jacobian, tuple):
            self.inplace_jacobian = calling_convention(objective.jacobian, "jacobian")[2]
        self.arrays: FreshArrays | None = None

    def functions(self) -> LeastSquaresFunctions:
        residual = self._residual()
        jacobian, counted, given = self._jacobian(residual)
        return LeastSquaresFunctions(
            self.M,
            residual,
            jacobian,
            counted,
            given,
            one_loss(self.objective.loss, self.objective.residual_size, self.objective.correction),
            self.buffers if self.inplace or self.inplace_jacobian else None,
        )

    # residuals

    def _residual(self) -> Callable[[Any], Any] | None:
        if self.fused:
            return None
        if self.inplace:
            return self._filled
        f, check = self.function, self._checked_residuals
        return lambda p: check(f(p), p)

    def _filled(self, p: Any) -> Any:
        return self.buffers.residuals.filled(lambda r: self.function(p, r), (self.m,), _real(p))  # type: ignore[arg-type]

    def _checked_residuals(self, value: Any, p: Any) -> Any:
        if isinstance(value, list | tuple):
            value = _joined(value)
        if self.arrays is None:
            self.arrays = FreshArrays(self.function, "residual", np.shape(value))
            m = int(np.size(value))
            if self.m is not None and self.m != m:
                raise ValueError(f"`residual` returned {m} numbers; num_residuals={self.m} was given.")
            if m == 0:
                raise ValueError("`residual` returned an empty array: there is nothing to fit.")
            size = self.objective.residual_size
            if m % size:
                raise ValueError(f"`residual` returned {m} numbers, which do not form groups of residual_size={size}.")
            self.m = m
        r = self.arrays.checked(value, p)
        return r if r.ndim == 1 else r.reshape(-1)

    # Jacobian

    def _jacobian(
        self, residual: Callable[[Any], Any] | None
    ) -> tuple[Callable[[Any], tuple[Any, Any]], tuple[tuple[str, int], ...], bool]:
        if self.fused:
            return self._fused(), (("residual", 1), ("jacobian", 1)), True
        if self.objective.jacobian is None:
            return self._differentiated(residual)
        raw, convert = self._given(), self._conversion()
        return (lambda p: (None, convert(p, raw(p)))), (("jacobian", 1),), True

    def _given(self) -> Callable[[Any], Any]:
        jacobian = self.objective.jacobian
        if isinstance(jacobian, tuple):
            functions = jacobian
            shape = self._row_shape()
            rows = [FreshArrays(f, f"jacobian[{i}]", shape, dtype=self.p.dtype) for i, f in enumerate(functions)]
            return lambda p: np.stack([row(p) for row in rows])
        function, _, inplace = calling_convention(jacobian, "jacobian")
        if not inplace:
            return function  # type: ignore[return-value]  # not None: the caller looked
        pool = self.buffers.jacobians
        return lambda p: pool.filled(
            lambda J: function(p, J),  # type: ignore[misc]
            self._jacobian_shape(),
            self._jacobian_dtype(p),
        )

    def _row_shape(self) -> tuple[int, ...]:
        kind, M = self.objective.jacobian_type, self.M
        return tuple({"gradients": M.vector_shape, "euclidean": M.embedding_shape}.get(kind, (M.dim,)))

    def _jacobian_shape(self) -> tuple[int, ...]:
        if self.m is None:
            raise ValueError("the Jacobian is InPlace, so the number of residuals must be known: give num_residuals=m.")
        return (self.m, *self._row_shape())

    def _jacobian_dtype(self, p: Any) -> Any:
        return p.dtype if self.objective.jacobian_type in ("gradients", "euclidean") else _real(p)

    def _fused(self) -> Callable[[Any], tuple[Any, Any]]:
        f, convert = self.function, self._conversion()

        def inplace(p: Any) -> tuple[Any, Any]:
            residuals, jacobians = self.buffers.residuals, self.buffers.jacobians
            r = residuals.take((self.m,), _real(p))  # type: ignore[arg-type]
            J = jacobians.take(self._jacobian_shape(), self._jacobian_dtype(p))
            f(p, r, J)
            residuals.check(r)
            jacobians.check(J)
            return r, convert(p, J)

        def allocating(p: Any) -> tuple[Any, Any]:
            pair = f(p)
            if not isinstance(pair, tuple | list) or len(pair) != 2:
                raise TypeError(
                    f"`residual` is Fused and must return (residual, jacobian); it returned {type(pair).__name__}."
                )
            return self._checked_residuals(pair[0], p), convert(p, pair[1])

        return inplace if self.inplace else allocating

    def _conversion(self) -> Callable[[Any, Any], Any]:
        kind, M = self.objective.jacobian_type, self.M
        if kind == "operator":
            return self._checked_operator
        if kind == "coordinates":
            return self._coordinates()
        euclidean = kind == "euclidean"
        checked = self._checked_array()

        def convert(p: Any, G: Any) -> Any:
            if hasattr(G, "tocsr"):
                return self._sparse_given(p, G)
            G = checked(p, G)
            J = M.get_coordinates(p, M.riemannian_gradient(p, G) if euclidean else G)
            if self.inplace_jacobian:
                self.buffers.jacobians.give_back(G)  # J is another array
            return J

        return convert

    def _checked_array(self) -> Callable[[Any, Any], Any]:
        kind = self.objective.jacobian_type
        dtype = self.p.dtype if kind in ("gradients", "euclidean") else float
        arrays = FreshArrays(lambda p: None, "jacobian", None, dtype=dtype)

        def checked(p: Any, J: Any) -> Any:
            if self.inplace_jacobian:
                return J
            if kind == "coordinates" and hasattr(J, "tocsr"):
                return self._checked_operator(p, J)
            if arrays.shape is None and self.m is not None:
                arrays.shape = self._jacobian_shape()
            return arrays.checked(J, p)

        return checked

    def _coordinates(self) -> Callable[[Any, Any], Any]:
        M, basis = self.M, self.objective.jacobian_basis
        checked = self._checked_array()
        if basis is None:
            return checked

        def convert(p: Any, J: Any) -> Any:
            E = basis(p) if callable(basis) else M.get_basis(p, basis)
            C = M.get_coordinates(p, E)  # row j: coordinates of the basis vector j
            return np.linalg.solve(C, dense(checked(p, J)).T).T

        return convert

    def _sparse_given(self, p: Any, J: Any) -> Any:
        """A sparse matrix of partial derivatives, where these are the coordinates."""
        if isinstance(self.M, Euclidean) and self.M.field == "real":
            return self._checked_operator(p, J)
        raise ValueError(
            f"a sparse Jacobian on {self.M!r} must be in coordinates: return derivatives along the basis vectors, with "
            "jacobian_type='coordinates'."
        )

    def _checked_operator(self, p: Any, J: Any) -> Any:
        shape = tuple(getattr(J, "shape", ()))
        m = "m" if self.m is None else self.m
        if len(shape) != 2 or shape[1] != self.M.dim or shape[0] != (self.m or shape[0]):
            raise ValueError(
                f"`jacobian` must return a matrix or an operator of shape (m, dim) = ({m}, {self.M.dim}); it returned "
                f"{type(J).__name__} of shape {shape}."
            )
        return J

    def _differentiated(
        self, residual: Callable[[Any], Any] | None
    ) -> tuple[Callable[[Any], tuple[Any, Any]], tuple[tuple[str, int], ...], bool]:
        from ..autodiff import check_residual_jacobian, choose_backend

        f: Any = residual if self.inplace else self.function

        def tried(p: Any) -> Any:
            self.counts["check"] += 1
            return f(p)

        backend = choose_backend(self.objective.autodiff, tried, self.p)
        if self.objective.jacobian_sparsity is not None:
            return self._sparse(f, residual or f, backend)
        jacobian = backend.jacobian(f, self.M)
        costs = backend.cost_per_gradient(self.M)
        if costs == 0:
            first = jacobian(self.p)
            self.counts["check"] += check_residual_jacobian(residual or f, first[1], self.M, self.p)
            jacobian = handing_out(jacobian, self.p, first)
        # differences call the residual at p too
        counted = (("jacobian", 1), ("residual", costs + 1)) if costs else (("jacobian", 1),)
        return jacobian, counted, False

    def _sparse(
        self, f: Any, residual: Any, backend: Any
    ) -> tuple[Callable[[Any], tuple[Any, Any]], tuple[tuple[str, int], ...], bool]:
        """The Jacobian of a known or detected pattern, compared with one difference."""
        from ..autodiff import check_residual_jacobian
        from ..autodiff.sparsity import SparseJacobian, detect_sparsity

        pattern = self.objective.jacobian_sparsity
        if isinstance(pattern, str):
            pattern = detect_sparsity(residual, self.M, self.p)
        jacobian = SparseJacobian(f, self.M, pattern, backend)
        first = jacobian(self.p)
        try:
            self.counts["check"] += check_residual_jacobian(residual, first[1], self.M, self.p)
        except ValueError as error:
            raise type(error)(
                f"with the pattern of `jacobian_sparsity` the derivative is wrong; does it miss an entry? {error}"
            ) from None
        calls = jacobian.calls
        counted = (("jacobian", 1), ("residual", calls + 1)) if calls else (("jacobian", 1),)
        return handing_out(jacobian, self.p, first), counted, False


def _real(p: Any) -> Any:
    """The dtype of real numbers as precise as p, which may be traced."""
    return np.finfo(p.dtype).dtype


def _stacked(functions: tuple[Callable[[Any], Any], ...]) -> Callable[[Any], Any]:
    """One function that returns the values of all, raveled, one after the other."""
    return lambda p: raveled([f(p) for f in functions])


def _joined(values: Any) -> Any:
    """One array of what a residual returned as a list or tuple, of numbers or of arrays of any lengths."""
    try:
        return np.asarray(values)
    except ValueError:
        return raveled(list(values))


def raveled(values: list[Any]) -> Any:
    """The numbers of several arrays of any library, one after the other."""
    xp = namespace(*values)
    return xp.concatenate([xp.reshape(value, (-1,)) for value in values])
