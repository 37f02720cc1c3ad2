"""LAPACK and BLAS called from compiled code: the routines that SciPy exports to Cython, by their addresses.

An address is no constant that compiled code could be kept on disk with, so it is handed over with each call.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import get_cython_function_address, intrinsic

_INT = ir.IntType(32)
_BYTE = ir.IntType(8)


_ROUTINES = (
    ("cython_lapack", "dpotrf"),
    ("cython_blas", "dtrsm"),
    ("cython_blas", "dsyrk"),
    ("cython_lapack", "dpotri"),
    ("cython_blas", "dsymm"),
    ("cython_blas", "dgemm"),
)


def addresses() -> Any:
    """Addresses of dpotrf, dtrsm, dsyrk, dpotri, dsymm and dgemm."""
    found = [get_cython_function_address(f"scipy.linalg.{module}", name) for module, name in _ROUTINES]
    return np.array(found, np.int64)


def _letter(builder: Any, letter: str) -> Any:
    return cgutils.alloca_once_value(builder, ir.Constant(_BYTE, ord(letter)))


def _number(builder: Any, value: Any) -> Any:
    return cgutils.alloca_once_value(builder, value)


def _integer(builder: Any, value: Any) -> Any:
    place = cgutils.alloca_once(builder, _INT)
    builder.store(value, place)
    return place


def _call(builder: Any, address: Any, arguments: list[Any]) -> None:
    kind = ir.FunctionType(ir.VoidType(), [a.type for a in arguments])
    builder.call(builder.inttoptr(address, kind.as_pointer()), arguments)


def _real(kind: Any) -> Any:
    return ir.FloatType() if kind == types.float32 else ir.DoubleType()


@intrinsic
def potrf(typing: Any, address: Any, one: Any, n: Any, a: Any, lda: Any) -> Any:
    """A = L L' in the lower triangle of the n x n matrix at a; returns LAPACK's info."""
    signature = types.int32(types.int64, one, types.int32, types.intp, types.int32)

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        at, _, n, a, lda = args
        info = _integer(builder, ir.Constant(_INT, 0))
        pointer = builder.inttoptr(a, _real(sig.args[1]).as_pointer())
        _call(builder, at, [_letter(builder, "L"), _integer(builder, n), pointer, _integer(builder, lda), info])
        return builder.load(info)

    return signature, code


@intrinsic
def trsm(
    typing: Any, address: Any, transposed: Any, one: Any, m: Any, n: Any, a: Any, lda: Any, b: Any, ldb: Any
) -> Any:
    """B = B L^-1, or B L^-T for transposed = 84 ("T", else 78), with the n x n triangle L and the m x n matrix B."""
    int32, intp = types.int32, types.intp
    signature = types.void(types.int64, types.int8, one, int32, int32, intp, int32, intp, int32)

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        at, transposed, one, m, n, a, lda, b, ldb = args
        pointer = _real(sig.args[2]).as_pointer()
        letters = [_letter(builder, "R"), _letter(builder, "L"), _number(builder, transposed), _letter(builder, "N")]
        sizes = [_integer(builder, m), _integer(builder, n)]
        first = [_number(builder, one), builder.inttoptr(a, pointer), _integer(builder, lda)]
        _call(builder, at, [*letters, *sizes, *first, builder.inttoptr(b, pointer), _integer(builder, ldb)])
        return context.get_dummy_value()

    return signature, code


@intrinsic
def potri(typing: Any, address: Any, one: Any, n: Any, a: Any, lda: Any) -> Any:
    """The inverse of L L' in the place of the n x n lower triangle L at a; returns LAPACK's info."""
    signature = types.int32(types.int64, one, types.int32, types.intp, types.int32)

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        at, _, n, a, lda = args
        info = _integer(builder, ir.Constant(_INT, 0))
        pointer = builder.inttoptr(a, _real(sig.args[1]).as_pointer())
        _call(builder, at, [_letter(builder, "L"), _integer(builder, n), pointer, _integer(builder, lda), info])
        return builder.load(info)

    return signature, code


@intrinsic
def symm(
    typing: Any, address: Any, alpha: Any, m: Any, n: Any, a: Any, lda: Any, b: Any, ldb: Any, c: Any, ldc: Any
) -> Any:
    """C = alpha A B for the symmetric m x m matrix with the lower triangle at a, and the m x n matrix B."""
    int32, intp = types.int32, types.intp
    signature = types.void(types.int64, alpha, int32, int32, intp, int32, intp, int32, intp, int32)

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        at, alpha, m, n, a, lda, b, ldb, c, ldc = args
        real = _real(sig.args[1])
        letters = [_letter(builder, "L"), _letter(builder, "L")]
        sizes = [_integer(builder, m), _integer(builder, n)]
        first = [_number(builder, alpha), builder.inttoptr(a, real.as_pointer()), _integer(builder, lda)]
        second = [builder.inttoptr(b, real.as_pointer()), _integer(builder, ldb)]
        beta = _number(builder, ir.Constant(real, 0.0))
        third = [beta, builder.inttoptr(c, real.as_pointer()), _integer(builder, ldc)]
        _call(builder, at, [*letters, *sizes, *first, *second, *third])
        return context.get_dummy_value()

    return signature, code


@intrinsic
def gemm(
    typing: Any, address: Any, alpha: Any, m: Any, n: Any, k: Any, a: Any, lda: Any, b: Any, ldb: Any, c: Any, ldc: Any
) -> Any:
    """C = C + alpha A'B for the k x m matrix A and the k x n matrix B."""
    int32, intp = types.int32, types.intp
    signature = types.void(types.int64, alpha, int32, int32, int32, intp, int32, intp, int32, intp, int32)

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        at, alpha, m, n, k, a, lda, b, ldb, c, ldc = args
        real = _real(sig.args[1])
        letters = [_letter(builder, "T"), _letter(builder, "N")]
        sizes = [_integer(builder, m), _integer(builder, n), _integer(builder, k)]
        first = [_number(builder, alpha), builder.inttoptr(a, real.as_pointer()), _integer(builder, lda)]
        second = [builder.inttoptr(b, real.as_pointer()), _integer(builder, ldb)]
        beta = _number(builder, ir.Constant(real, 1.0))
        third = [beta, builder.inttoptr(c, real.as_pointer()), _integer(builder, ldc)]
        _call(builder, at, [*letters, *sizes, *first, *second, *third])
        return context.get_dummy_value()

    return signature, code


@intrinsic
def syrk(typing: Any, address: Any, alpha: Any, beta: Any, n: Any, k: Any, a: Any, lda: Any, c: Any, ldc: Any) -> Any:
    """C = beta C + alpha A A' in the lower triangle of the n x n matrix C, for the n x k matrix A."""
    int32, intp = types.int32, types.intp
    signature = types.void(types.int64, alpha, alpha, int32, int32, intp, int32, intp, int32)

    def code(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        at, alpha, beta, n, k, a, lda, c, ldc = args
        pointer = _real(sig.args[1]).as_pointer()
        letters = [_letter(builder, "L"), _letter(builder, "N")]
        sizes = [_integer(builder, n), _integer(builder, k)]
        first = [_number(builder, alpha), builder.inttoptr(a, pointer), _integer(builder, lda)]
        second = [_number(builder, beta), builder.inttoptr(c, pointer), _integer(builder, ldc)]
        _call(builder, at, [*letters, *sizes, *first, *second])
        return context.get_dummy_value()

    return signature, code
