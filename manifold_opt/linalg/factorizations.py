r"""Sparse factorizations by name: our own, SciPy's, and those of other packages where they are installed.

=================  ==================================================  ===========================
name               what it is                                          needs
=================  ==================================================  ===========================
``"compiled"``     dense fronts, compiled                              numba (BSD)
``"numpy"``        dense fronts, one after the other                   nothing
``"superlu"``      SciPy's LU, twice the work                          nothing
``"cvxopt"``       CHOLMOD                                             cvxopt (GPL)
``"sksparse"``     CHOLMOD                                             scikit-sparse (BSD on GPL)
``"pardiso"``      PARDISO of Intel's MKL                              pypardiso (BSD on Intel's)
``"rslab"``        LDL', in Rust                                       rslab (MIT)
``"qdldl"``        LDL', simple, for graphs like chains                qdldl (Apache)
=================  ==================================================  ===========================

``"auto"`` takes the first of the list that is installed, SuperLU and qdldl left out, and spares a small problem the
time to load numba.
"""

from __future__ import annotations

import math
import sys
from importlib.util import find_spec
from typing import Any

import numpy as np

from .fronts import COARSE, RELAXED
from .multifrontal import CompiledFronts, Factorization, NumpyFronts, front_tables
from .normal_matrix import BlockPattern

# loading numba and what it compiled before takes about a second
_WORTH_LOADING = 2000


class _Columnwise(Factorization):
    """Base of those that want a SciPy matrix, or what it is made of.

    The numbers of the lower triangle, or of both, are written into the same array each time.
    """

    triangle = False
    """Whether the lower triangle is all that is needed."""

    def __init__(self, pattern: BlockPattern) -> None:
        super().__init__(pattern)
        self.indptr, self.indices, self._at = pattern.triangle if self.triangle else pattern.full
        columns = np.repeat(np.arange(pattern.size), np.diff(self.indptr))
        self._diagonal = np.flatnonzero(self.indices == columns)
        self._analysis: Any = None

    def data(self, values: Any, damping: Any) -> Any:
        """Numbers of the compressed columns, with the damping; double precision."""
        data = values[self._at].astype(float, copy=False)
        if damping is not None:
            data[self._diagonal] += damping
        if not math.isfinite(float(data.sum())):
            raise np.linalg.LinAlgError("the matrix is not finite")
        return data

    def matrix(self, data: Any) -> Any:
        """The compressed columns as a SciPy matrix."""
        from scipy.sparse import csc_matrix

        return csc_matrix((data, self.indices, self.indptr), shape=(self.pattern.size,) * 2)

    def solve(self, b: Any) -> Any:
        """See `Factorization`."""
        if b.ndim == 2:
            return np.stack([self._solve(np.ascontiguousarray(column)) for column in b.T], axis=1)
        return self._solve(b)

    def _solve(self, b: Any) -> Any:
        raise NotImplementedError


class SuperLU(_Columnwise):
    """SciPy's `splu` with the order of minimum degree."""

    def factor(self, values: Any, damping: Any = None) -> None:
        """See `Factorization`."""
        from scipy.sparse.linalg import splu

        A = self.matrix(self.data(values, damping))
        try:
            self._factor = splu(A, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
        except RuntimeError as error:
            raise np.linalg.LinAlgError(f"the matrix is singular ({error})") from None
        pivots = self._factor.U.diagonal()
        if not (pivots > 0.0).all():
            raise np.linalg.LinAlgError("the matrix is not positive definite")

    def _solve(self, b: Any) -> Any:
        return self._factor.solve(b.astype(float, copy=False))


class Cvxopt(_Columnwise):
    """CHOLMOD as cvxopt has it."""

    triangle = True

    def factor(self, values: Any, damping: Any = None) -> None:
        """See `Factorization`."""
        import cvxopt
        from cvxopt import cholmod

        data, n = self.data(values, damping), self.pattern.size
        if self._analysis is None:
            columns = np.repeat(np.arange(n), np.diff(self.indptr))
            self._A = cvxopt.spmatrix(
                cvxopt.matrix(data), cvxopt.matrix(self.indices.astype(np.int64)), cvxopt.matrix(columns), (n, n)
            )
            self._analysis = cholmod.symbolic(self._A)
        else:
            self._A.V = cvxopt.matrix(data)
        try:
            cholmod.numeric(self._A, self._analysis)
        except ArithmeticError:
            self._analysis = None
            raise np.linalg.LinAlgError("the matrix is not positive definite") from None

    def _solve(self, b: Any) -> Any:
        import cvxopt
        from cvxopt import cholmod

        x = cvxopt.matrix(b.astype(float, copy=False))
        cholmod.solve(self._analysis, x)
        return np.array(x).reshape(-1)


class ScikitSparse(_Columnwise):
    """CHOLMOD as scikit-sparse has it."""

    def factor(self, values: Any, damping: Any = None) -> None:
        """See `Factorization`."""
        from sksparse import cholmod

        A = self.matrix(self.data(values, damping))
        try:
            if self._analysis is None:
                self._analysis = cholmod.analyze(A, mode="supernodal")
            self._analysis.cholesky_inplace(A)
        except cholmod.CholmodError as error:
            raise np.linalg.LinAlgError(f"the matrix is not positive definite ({error})") from None

    def _solve(self, b: Any) -> Any:
        return self._analysis(b.astype(float, copy=False))


class Pardiso(_Columnwise):
    """PARDISO of Intel's MKL, for positive definite matrices."""

    triangle = True  # lower columns are upper rows

    def factor(self, values: Any, damping: Any = None) -> None:
        """See `Factorization`."""
        import pypardiso
        from scipy.sparse import csr_matrix

        data = self.data(values, damping)
        self._A = csr_matrix((data, self.indices, self.indptr), shape=(self.pattern.size,) * 2)
        first = self._analysis is None
        if first:
            self._analysis = pypardiso.PyPardisoSolver(mtype=2)
        self._analysis.set_phase(12 if first else 22)
        try:
            self._analysis._call_pardiso(self._A, np.zeros((self.pattern.size, 1)))
        except Exception as error:
            self._analysis = None
            raise np.linalg.LinAlgError(f"the matrix is not positive definite ({error})") from None

    def _solve(self, b: Any) -> Any:
        self._analysis.set_phase(33)
        return self._analysis._call_pardiso(self._A, b.astype(float, copy=False).reshape(-1, 1)).reshape(-1)


class Rslab(_Columnwise):
    """LDL' of rslab, which is written in Rust."""

    def factor(self, values: Any, damping: Any = None) -> None:
        """See `Factorization`."""
        import rslab

        A = self.matrix(self.data(values, damping))
        if self._analysis is None:
            self._analysis = rslab.analyze(A, path="ldlt")
        try:
            self._factor = self._analysis.factor(A)
        except Exception as error:
            raise np.linalg.LinAlgError(f"the matrix could not be factorized ({error})") from None

    def _solve(self, b: Any) -> Any:
        return np.asarray(self._factor.solve(b.astype(float, copy=False)))


class Qdldl(_Columnwise):
    """LDL' of qdldl."""

    triangle = True

    def __init__(self, pattern: BlockPattern) -> None:
        super().__init__(pattern)
        from scipy.sparse import csc_matrix

        # it reads upper columns: the transpose, whose numbers come in another order
        numbers = np.arange(len(self.indices), dtype=float)
        upper = csc_matrix((numbers, self.indices, self.indptr), shape=(pattern.size,) * 2).T.tocsc()
        upper.sort_indices()
        self._upper = upper.indptr, upper.indices, upper.data.astype(np.int64)

    def factor(self, values: Any, damping: Any = None) -> None:
        """See `Factorization`."""
        import qdldl
        from scipy.sparse import csc_matrix

        indptr, indices, order = self._upper
        data = self.data(values, damping)[order]
        A = csc_matrix((data, indices, indptr), shape=(self.pattern.size,) * 2)
        try:
            if self._analysis is None:
                self._analysis = qdldl.Solver(A, upper=True)
            else:
                self._analysis.update(A, upper=True)
            definite = bool((self._analysis.factors()[1] > 0.0).all())
        except Exception as error:
            self._analysis = None
            raise np.linalg.LinAlgError(f"the matrix could not be factorized ({error})") from None
        if not definite:
            raise np.linalg.LinAlgError("the matrix is not positive definite")

    def _solve(self, b: Any) -> Any:
        return self._analysis.solve(b.astype(float, copy=False))


# name: class, and the module that must be there
METHODS: dict[str, tuple[type[Factorization], str | None]] = {
    "compiled": (CompiledFronts, "numba"),
    "cvxopt": (Cvxopt, "cvxopt"),
    "sksparse": (ScikitSparse, "sksparse"),
    "pardiso": (Pardiso, "pypardiso"),
    "rslab": (Rslab, "rslab"),
    "numpy": (NumpyFronts, None),
    "superlu": (SuperLU, None),
    "qdldl": (Qdldl, "qdldl"),
}
_AUTOMATIC = ("compiled", "cvxopt", "sksparse", "pardiso", "rslab", "numpy")


def is_installed(name: str) -> bool:
    """Whether a factorization can be used here."""
    module = METHODS[name][1]
    return module is None or module in sys.modules or find_spec(module) is not None


def factorization(pattern: BlockPattern, name: str = "auto", ordering: str = "auto") -> Factorization:
    """A factorization for matrices of this pattern.

    Parameters
    ----------
    pattern : BlockPattern
    name : str
        See above.
    ordering : {"auto", "minimum-degree", "nested-dissection"}
        Of our own factorizations, see `SparseCholesky`; the others have theirs.

    Raises
    ------
    ImportError
        When its package is not installed.
    """
    if name == "auto":
        small = pattern.size < _WORTH_LOADING and "numba" not in sys.modules
        name = "numpy" if small else next(name for name in _AUTOMATIC if is_installed(name))
    kind, module = METHODS[name]
    if not is_installed(name):
        raise ImportError(
            f"the factorization {name!r} needs the package {module}, which is not installed; installed are "
            f"{', '.join(repr(other) for other in METHODS if is_installed(other))}."
        )
    if kind in (CompiledFronts, NumpyFronts):
        return kind(pattern, front_tables(pattern, RELAXED if kind is CompiledFronts else COARSE, ordering))
    return kind(pattern)
