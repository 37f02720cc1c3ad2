"""Numerics without geometry: array namespaces, safe scalar functions, matrix functions, small factorizations."""

from __future__ import annotations

from manifold_opt.linalg.namespace import Array, adjoint, broadcast_batch, is_numpy, namespace, transpose
from manifold_opt.linalg.rules import differentiable
from manifold_opt.linalg.scalars import (
    angle_between,
    asinc,
    atanc,
    atanhc,
    cosc,
    coshc,
    cotc,
    expm1c,
    log1pc,
    safe_divide,
    safe_sqrt,
    sinc,
    sinc_slope,
    sinhc,
    tsinc,
)
from manifold_opt.linalg.symmetric import (
    skew,
    smat,
    svec,
    sym,
    symmetric_exp,
    symmetric_inverse_sqrt,
    symmetric_log,
    symmetric_sqrt,
)

__all__ = [
    "Array",
    "adjoint",
    "angle_between",
    "asinc",
    "atanc",
    "atanhc",
    "broadcast_batch",
    "cosc",
    "coshc",
    "cotc",
    "differentiable",
    "expm1c",
    "is_numpy",
    "log1pc",
    "namespace",
    "safe_divide",
    "safe_sqrt",
    "sinc",
    "sinc_slope",
    "sinhc",
    "skew",
    "smat",
    "svec",
    "sym",
    "symmetric_exp",
    "symmetric_inverse_sqrt",
    "symmetric_log",
    "symmetric_sqrt",
    "transpose",
    "tsinc",
]
