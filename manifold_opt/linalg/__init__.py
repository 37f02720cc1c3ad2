"""Numerics without geometry: array namespaces, safe scalar functions, matrix functions, small factorizations."""

from __future__ import annotations

# Importing this module binds its name here; the function of the same name must come after it, once and for all.
import manifold_opt.linalg.cholesky  # noqa: F401
from manifold_opt.linalg.low_rank import LowRank
from manifold_opt.linalg.metric_matrix import MetricMatrix
from manifold_opt.linalg.namespace import Array, adjoint, broadcast_batch, is_numpy, namespace, transpose
from manifold_opt.linalg.rotation import hat, rotation_log, rotation_log1p, skew_exp, vee
from manifold_opt.linalg.rules import differentiable
from manifold_opt.linalg.scalars import (
    angle_between,
    asinc,
    atanc,
    atanhc,
    cosc,
    coshc,
    cotc,
    cotc_slope,
    expm1c,
    log1pc,
    safe_divide,
    safe_sqrt,
    sinc,
    sinc_slope,
    sinhc,
    tsinc,
    tsinc_slope,
)
from manifold_opt.linalg.small import (
    cholesky,
    eigh,
    lyapunov,
    nearest_rotation,
    orthonormalize,
    polar,
    qf,
    qr_positive,
    solve,
    solve_triangular,
    sylvester,
)
from manifold_opt.linalg.symmetric import (
    skew,
    smat,
    svec,
    sym,
    symmetric_exp,
    symmetric_inverse_sqrt,
    symmetric_log,
    symmetric_log1p,
    symmetric_sqrt,
)
from manifold_opt.linalg.tensors import SparseTensor, TuckerTensor
from manifold_opt.linalg.trains import TrainTensor

__all__ = [
    "Array",
    "LowRank",
    "MetricMatrix",
    "SparseTensor",
    "TrainTensor",
    "TuckerTensor",
    "adjoint",
    "angle_between",
    "asinc",
    "atanc",
    "atanhc",
    "broadcast_batch",
    "cholesky",
    "cosc",
    "coshc",
    "cotc",
    "cotc_slope",
    "differentiable",
    "eigh",
    "expm1c",
    "hat",
    "is_numpy",
    "log1pc",
    "lyapunov",
    "namespace",
    "nearest_rotation",
    "orthonormalize",
    "polar",
    "qf",
    "qr_positive",
    "rotation_log",
    "rotation_log1p",
    "safe_divide",
    "safe_sqrt",
    "sinc",
    "sinc_slope",
    "sinhc",
    "skew",
    "skew_exp",
    "smat",
    "solve",
    "solve_triangular",
    "svec",
    "sylvester",
    "sym",
    "symmetric_exp",
    "symmetric_inverse_sqrt",
    "symmetric_log",
    "symmetric_log1p",
    "symmetric_sqrt",
    "transpose",
    "tsinc",
    "tsinc_slope",
    "vee",
]
