"""Which linear solver a Jacobian asks for."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

from .block_matrix import BlockMatrix
from .elimination import best_variable
from .schur import SchurComplement
from .solvers import DenseQR
from .sparse_solvers import SparseCholesky


@dataclass(frozen=True)
class Automatic:
    """A sparse factorization for large matrices of blocks and of SciPy, else QR, which does not square the condition.

    Parameters
    ----------
    dense_columns : int
        Up to this many columns a matrix is dealt with as a dense one.
    eliminated_share : float
        Where one variable of a block matrix can be eliminated, and has at least this share of the columns, as points
        have in bundle adjustment, the solver is `SchurComplement`.
    density : float
        A matrix of which a larger part than this is not zero is dealt with as a dense one.
    """

    _: KW_ONLY
    dense_columns: int = 200
    eliminated_share: float = 0.6
    density: float = 0.2

    def bind(self) -> Any:
        """Run-time object for matrices of which nothing is known: dense ones."""
        return DenseQR().bind()

    def choose(self, J: Any) -> Any:
        """The solver for J."""
        if J.shape[1] <= self.dense_columns or not (isinstance(J, BlockMatrix) or hasattr(J, "tocsr")):
            return DenseQR()
        if isinstance(J, BlockMatrix):
            variable = best_variable(J)
            if variable is not None and variable.size >= self.eliminated_share * J.shape[1]:
                return SchurComplement()
        numbers = sum(part.blocks.size for part in J.parts) if isinstance(J, BlockMatrix) else J.nnz
        return SparseCholesky() if numbers <= self.density * J.shape[0] * J.shape[1] else DenseQR()


def chosen(solver: Any, J: Any) -> Any:
    """The solver given, or the one that it chooses for J."""
    return solver.choose(J) if hasattr(solver, "choose") else solver
