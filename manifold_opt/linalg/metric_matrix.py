"""A symmetric positive definite matrix as an inner product: dense, sparse or an operator, factored once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from manifold_opt.linalg.namespace import Array, adjoint, broadcast_batch, namespace
from manifold_opt.linalg.rules import differentiable
from manifold_opt.linalg.small import solve

__all__ = ["MetricMatrix"]


class MetricMatrix:
    """A Hermitian positive definite matrix B that multiplies and divides matrices ``(*batch, n, k)`` from the left.

    Parameters
    ----------
    B : array, sparse matrix, LinearOperator or MetricMatrix
        The matrix. An array or sparse matrix is copied and factored, once, when the factor is first needed.
    divide : callable, optional
        ``divide(Y)`` returns ``B^-1 Y`` for matrices ``(n, m)``. For operators only; default: conjugate gradients.

    Raises
    ------
    ValueError
        If B is not square, finite, Hermitian and (found when it is factored) positive definite.

    Notes
    -----
    Dense matrices take Cholesky's factor. Sparse ones take SuperLU's with a symmetric fill-reducing order and pivots on
    the diagonal, which is ``L D L^H``. Operators have no `root`.

    Equal where the entries are; operators, where they are the same object.
    """

    def __init__(self, B: Any, divide: Callable[[np.ndarray], np.ndarray] | None = None) -> None:
        self.divide = divide
        if hasattr(B, "tocsc"):
            self.kind = "sparse"
            self.B = B.tocsc().copy()
            self.B.sum_duplicates()
            self.B.sort_indices()
            entries = self.B.data
        elif hasattr(B, "matmat"):
            self.kind = "operator"
            self.B = B
            entries = np.zeros(1, dtype=B.dtype)
        else:
            self.kind = "dense"
            self.B = np.array(B)
            if self.B.dtype.kind not in "fc":
                self.B = self.B.astype(float)
            self.B.flags.writeable = False
            entries = self.B
        if len(self.B.shape) != 2 or self.B.shape[0] != self.B.shape[1]:
            raise ValueError(f"B must be a square matrix, but its shape is {tuple(self.B.shape)}")
        if divide is not None and self.kind != "operator":
            raise ValueError("divide is for operators B; an array or a sparse matrix is factored")
        if not np.all(np.isfinite(entries)):
            raise ValueError("B must be finite, but it has entries that are NaN or infinite")
        if self.kind != "operator":
            off = abs(self.B - self.B.conj().T).max()
            if off > 1e-12 * abs(self.B).max():
                raise ValueError(f"B must be Hermitian, but B - B^H has an entry {off:.3g}; take (B + B^H) / 2")
        self._cast: dict[Any, Any] = {}

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        n: int = self.B.shape[0]
        return (n, n)

    @property
    def is_complex(self) -> bool:
        """Whether the entries are complex."""
        return np.dtype(self.B.dtype).kind == "c"

    @property
    def has_root(self) -> bool:
        """Whether `root` and `root_divide` are there: not for operators."""
        return self.kind != "operator"

    # ---------------- as a value

    def _key(self) -> Any:
        if self.kind == "dense":
            return (self.kind, self.B.shape, self.B.dtype.str, self.B.tobytes())
        if self.kind == "sparse":
            parts = (self.B.data, self.B.indices, self.B.indptr)
            return (self.kind, self.B.shape, *(part.tobytes() for part in parts))
        return (self.kind, id(self.B), id(self.divide))

    def __eq__(self, other: object) -> bool:
        """Whether the entries are equal; for operators, whether it is the same object."""
        return isinstance(other, MetricMatrix) and self._key() == other._key()

    def __hash__(self) -> int:
        """A hash of the entries."""
        return hash(self._key())

    def __repr__(self) -> str:
        """Kind and size."""
        return f"<{self.kind} {self.shape[0]}x{self.shape[1]}>"

    def __getstate__(self) -> dict[str, Any]:
        """The matrix without its factors, which come again when they are needed."""
        return {"B": self.B, "kind": self.kind, "divide": self.divide, "_cast": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the matrix, read-only."""
        self.__dict__.update(state)
        if self.kind == "dense":
            self.B.flags.writeable = False

    # ---------------- products

    def times(self, X: Array) -> Array:
        """``B X``."""
        if self.kind != "dense":
            return self._linear(X, "times")
        xp = namespace(X)
        return (self._in_dtype(X.dtype) if xp is np else xp.asarray(self._writable)) @ X

    def solve(self, Y: Array) -> Array:
        """``B^-1 Y``."""
        if self.kind == "dense" and namespace(Y) is not np:
            return solve(*broadcast_batch(2, namespace(Y).asarray(self._writable), Y))
        return self._linear(Y, "solve")

    def root(self, X: Array) -> Array:
        """``C^H X`` for a factor of ``B = C C^H``: inner products of B become those of arrays."""
        if self.kind == "dense" and namespace(X) is not np:
            return adjoint(namespace(X).asarray(self._root)) @ X
        return self._linear(X, "root")

    def root_divide(self, Y: Array) -> Array:
        """``C^-H Y``, the inverse of `root`; for sparse matrices ``B^-1 C Y``."""
        if self.kind == "dense" and namespace(Y) is not np:
            return solve(*broadcast_batch(2, adjoint(namespace(Y).asarray(self._root)), Y))
        return self._linear(Y, "root_divide")

    @cached_property
    def _writable(self) -> np.ndarray:
        """A copy for PyTorch, which warns of read-only arrays."""
        return self.B.copy()

    def _in_dtype(self, dtype: Any) -> np.ndarray:
        """B in the precision of another array: float32 stays."""
        cast = self._cast.get(dtype)
        if cast is None:
            single = np.dtype(dtype) in (np.dtype(np.float32), np.dtype(np.complex64))
            to = (np.complex64 if self.is_complex else np.float32) if single else self.B.dtype
            cast = self._cast[dtype] = self.B.astype(to, copy=False)
        return cast

    def _linear(self, X: Array, name: str) -> Array:
        if type(X) is np.ndarray:
            return _product_forward(X, matrix=self, name=name)
        if not namespace(X).__name__.startswith("autograd"):
            raise TypeError(
                f"a {self.kind} B works on NumPy arrays, not on those of {namespace(X).__name__}; give B as an array"
            )
        return _product(X, matrix=self, name=name)

    def _columns(self, X: np.ndarray, name: str) -> np.ndarray:
        """A linear map by its name on matrices ``(n, m)``; a name that ends in ``^T`` is the transposed one."""
        if name.endswith("^T"):
            return np.conj(self._adjoint_columns(np.conj(X), name[:-2]))
        if name == "times":
            return np.asarray(self.B.matmat(X) if self.kind == "operator" else self.B @ X)
        if name == "solve":
            return self._divide(X)
        if name == "root":
            return np.asarray(self._root.conj().T @ X)
        if self.kind == "sparse":
            return self._divide(self._root @ X)
        from scipy.linalg import solve_triangular

        return solve_triangular(self._root, X, trans="C", lower=True)

    def _adjoint_columns(self, X: np.ndarray, name: str) -> np.ndarray:
        if name in ("times", "solve"):
            return self._columns(X, name)
        if name == "root":
            return np.asarray(self._root @ X)
        return np.asarray(self._root.conj().T @ self._divide(X))

    # ---------------- factors

    def _divide(self, Y: np.ndarray) -> np.ndarray:
        if self.kind == "dense":
            from scipy.linalg import cho_solve

            return cho_solve((self._root, True), Y)
        if self.kind == "sparse":
            lu = self._factor
            if np.iscomplexobj(Y) and not self.is_complex:
                real, imaginary = (lu.solve(np.ascontiguousarray(part, float)) for part in (Y.real, Y.imag))
                return real + 1j * imaginary
            return lu.solve(np.ascontiguousarray(Y, lu.L.dtype))
        if self.divide is not None:
            return np.asarray(self.divide(Y))
        return self._conjugate_gradients(Y)

    def _conjugate_gradients(self, Y: np.ndarray) -> np.ndarray:
        """All columns at once, each until its residual is rounding."""
        size = np.sqrt(np.sum(np.abs(Y) ** 2, axis=0))
        X = np.zeros_like(Y, dtype=np.result_type(Y, self.B.dtype))
        R, P = Y + 0.0 * X, Y + 0.0 * X
        squares = size**2
        for _ in range(20 * self.shape[0]):
            if np.all(squares <= (1e-15 * size) ** 2):
                break
            BP = self._columns(P, "times")
            curvature = np.sum(np.conj(P) * BP, axis=0).real
            step = np.where(curvature > 0, squares / np.where(curvature > 0, curvature, 1.0), 0.0)
            X, R = X + step * P, R - step * BP
            before, squares = squares, np.sum(np.abs(R) ** 2, axis=0)
            P = R + np.where(before > 0, squares / np.where(before > 0, before, 1.0), 0.0) * P
        off = np.sqrt(np.sum(np.abs(self._columns(X, "times") - Y) ** 2, axis=0))
        if not np.all(off <= 1e-10 * size):
            raise ValueError(
                "conjugate gradients did not solve a system with the operator B; is B positive definite? give "
                "divide=, a function that solves it"
            )
        return X

    @cached_property
    def _root(self) -> Any:
        """C with ``B = C C^H``."""
        if self.kind == "dense":
            try:
                return np.linalg.cholesky(self.B)
            except np.linalg.LinAlgError:
                raise ValueError("B must be positive definite, but it has no Cholesky factor") from None
        from scipy.sparse import diags

        lu = self._factor
        # row i of B is row perm[i] of L D L^H
        return (lu.L @ diags(np.sqrt(lu.U.diagonal().real)))[lu.perm_r].tocsc()

    @cached_property
    def _factor(self) -> Any:
        from scipy.sparse.linalg import splu

        B = self.B if self.B.dtype.char in "dD" else self.B.astype(complex if self.is_complex else float)
        try:
            lu = splu(B, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
        except RuntimeError:
            raise ValueError("B must be positive definite, but it is singular") from None
        if not np.array_equal(lu.perm_r, lu.perm_c) or not np.all(lu.U.diagonal().real > 0):
            raise ValueError("B must be positive definite, but its factor has a pivot that is not positive")
        return lu


def _product_forward(X: np.ndarray, *, matrix: MetricMatrix, name: str) -> np.ndarray:
    """A linear map on all columns of a batch at once, in the precision of X."""
    n, k = X.shape[-2:]
    whole = X.ndim == 2
    Y = matrix._columns(X if whole else np.moveaxis(X, -2, 0).reshape(n, -1), name)
    single = X.real.dtype == np.float32
    Y = Y.astype((np.complex64 if Y.dtype.kind == "c" else np.float32) if single else Y.dtype, copy=False)
    return Y if whole else np.moveaxis(Y.reshape((n, *X.shape[:-2], k)), 0, -2)


def _transposed(name: str) -> str:
    return name[:-2] if name.endswith("^T") else f"{name}^T"


_product: Callable[..., Array] = differentiable(
    vjps=(lambda G, value, X, matrix, name: _product(G, matrix=matrix, name=_transposed(name)),),
    jvps=(lambda E, value, X, matrix, name: _product(E, matrix=matrix, name=name),),
)(_product_forward)
