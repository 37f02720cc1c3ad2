"""The multifrontal Cholesky factorization, compiled by numba; see `manifold_opt.linalg.fronts` for its arrays."""

from __future__ import annotations

from typing import Any

from numba import njit

from .blas_calls import gemm, potrf, potri, symm, syrk, trsm

# the letters of LAPACK
_N, _T = ord("N"), ord("T")


@njit(cache=True, nogil=True)
def assemble(front: int, values: Any, damping: Any, tables: Any, pivots: Any, panel: Any, ld: int) -> None:
    """Write the blocks of the matrix into the columns of a front, and add the damping."""
    starts, source, rows, columns, first_row, first_column, transposed = tables
    for b in range(starts[front], starts[front + 1]):
        v, m, n = source[b], rows[b], columns[b]
        to = first_column[b] * ld + first_row[b]
        if transposed[b]:
            for j in range(n):
                column = panel[to + j * ld : to + j * ld + m]
                numbers = values[v + j * m : v + j * m + m]
                for i in range(m):
                    column[i] = numbers[i]
        else:
            numbers = values[v : v + m * n]
            for j in range(n):
                column = panel[to + j * ld : to + j * ld + m]
                for i in range(m):
                    column[i] = numbers[i * n + j]
    first = pivots[front]
    for j in range(pivots[front + 1] - first):
        panel[j * ld + j] += damping[first + j]


@njit(cache=True, nogil=True)
def add_update(update: Any, q: int, runs: Any, first: int, last: int, p: int, panel: Any, ld: int, above: Any) -> None:
    """Add the update of a child, q x q, into the columns and the update of its parent."""
    begin, target, length = runs
    wide = ld - p
    for a in range(first, last):
        for j in range(begin[a], begin[a] + length[a]):
            column = target[a] + j - begin[a]
            if column < p:
                to, out = column * ld, panel
            else:
                to, out = (column - p) * wide - p, above
            at = j * q
            skipped = j - begin[a]
            for b in range(a, last):
                n = length[b] - skipped
                x, y = at + begin[b] + skipped, to + target[b] + skipped
                source, sink = update[x : x + n], out[y : y + n]
                for i in range(n):
                    sink[i] += source[i]
                skipped = 0


@njit(cache=True, nogil=True)
def factorize(
    calls: Any,
    one: Any,
    values: Any,
    damping: Any,
    tables: Any,
    pivots: Any,
    panels: Any,
    below: Any,
    updates: Any,
    children: Any,
    child_starts: Any,
    runs: Any,
    run_starts: Any,
    struct: Any,
    struct_starts: Any,
    L: Any,
    U: Any,
    x: Any,
    work: Any,
) -> int:
    """Fill L, and replace x by L^-1 x unless it is empty; returns -1, or a place whose pivot is not positive."""
    zero = one - one
    size = L.itemsize
    solving = len(x) > 0
    base, memory = L.ctypes.data, U.ctypes.data
    for front in range(len(pivots) - 1):
        p, q = pivots[front + 1] - pivots[front], below[front]
        ld = p + q
        panel = L[panels[front] : panels[front + 1]]
        panel[:] = zero
        update = U[updates[front] : updates[front] + q * q]
        update[:] = zero
        assemble(front, values, damping, tables, pivots, panel, ld)
        for c in range(child_starts[front], child_starts[front + 1]):
            child = children[c]
            n = below[child]
            add_update(
                U[updates[child] : updates[child] + n * n],
                n,
                runs,
                run_starts[child],
                run_starts[child + 1],
                p,
                panel,
                ld,
                update,
            )
        at = base + panels[front] * size
        info = potrf(calls[0], one, p, at, ld)
        if info != 0:
            return pivots[front] + info - 1
        for j in range(p):  # LAPACK lets pivots that are no numbers pass
            pivot = panel[j * ld + j]
            if not pivot - pivot == zero:
                return pivots[front] + j
        if q > 0:
            trsm(calls[1], _T, one, q, p, at, ld, at + p * size, ld)
            syrk(calls[2], -one, one, q, p, at + p * size, ld, memory + updates[front] * size, q)
        if solving:
            eliminate(panel, p, q, struct[struct_starts[front] : struct_starts[front + 1]], x, pivots[front], work)
    return -1


@njit(cache=True, nogil=True)
def add_products(B: Any, starts: Any, block: Any, offsets: Any, values: Any) -> None:
    """Add the blocks of the products B'B of a family to the numbers of J'J."""
    n, m, _ = B.shape
    P = len(starts) - 1
    for instance in range(n):
        for a in range(P):
            for b in range(P):
                number = block[instance, a, b]
                if number < 0:
                    continue
                i, rows = starts[a], starts[a + 1] - starts[a]
                j, columns = starts[b], starts[b + 1] - starts[b]
                at = offsets[number]
                if columns == 6:
                    product_of_six(B, instance, m, i, rows, j, values, at)
                elif columns == 3:
                    product_of_three(B, instance, m, i, rows, j, values, at)
                else:
                    for r in range(rows):
                        for k in range(m):
                            t = B[instance, k, i + r]
                            for c in range(columns):
                                values[at + r * columns + c] += t * B[instance, k, j + c]


# a row of a product stays in registers, which the compiler sees for constant widths only


@njit(cache=True, nogil=True, inline="always")
def product_of_six(B: Any, instance: int, m: int, i: int, rows: int, j: int, values: Any, at: int) -> None:
    """Add one block with six columns."""
    for r in range(rows):
        to = at + 6 * r
        t0, t1, t2 = values[to], values[to + 1], values[to + 2]
        t3, t4, t5 = values[to + 3], values[to + 4], values[to + 5]
        for k in range(m):
            b = B[instance, k, i + r]
            t0 += b * B[instance, k, j]
            t1 += b * B[instance, k, j + 1]
            t2 += b * B[instance, k, j + 2]
            t3 += b * B[instance, k, j + 3]
            t4 += b * B[instance, k, j + 4]
            t5 += b * B[instance, k, j + 5]
        values[to], values[to + 1], values[to + 2] = t0, t1, t2
        values[to + 3], values[to + 4], values[to + 5] = t3, t4, t5


@njit(cache=True, nogil=True, inline="always")
def product_of_three(B: Any, instance: int, m: int, i: int, rows: int, j: int, values: Any, at: int) -> None:
    """Add one block with three columns."""
    for r in range(rows):
        to = at + 3 * r
        t0, t1, t2 = values[to], values[to + 1], values[to + 2]
        for k in range(m):
            b = B[instance, k, i + r]
            t0 += b * B[instance, k, j]
            t1 += b * B[instance, k, j + 1]
            t2 += b * B[instance, k, j + 2]
        values[to], values[to + 1], values[to + 2] = t0, t1, t2


@njit(cache=True, nogil=True, inline="always")
def eliminate(panel: Any, p: int, q: int, rows: Any, x: Any, first: int, work: Any) -> None:
    """One front of x = L^-1 x."""
    ld = p + q
    for j in range(p):
        y = x[first + j] / panel[j * ld + j]
        x[first + j] = y
        for i in range(j + 1, p):
            x[first + i] -= panel[j * ld + i] * y
    for i in range(q):
        work[i] = 0.0
    j = 0
    while j + 3 < p:  # four columns at a time: what is added to is read less often
        at = j * ld + p
        a, b = panel[at : at + q], panel[at + ld : at + ld + q]
        c, d = panel[at + 2 * ld : at + 2 * ld + q], panel[at + 3 * ld : at + 3 * ld + q]
        y0, y1, y2, y3 = x[first + j], x[first + j + 1], x[first + j + 2], x[first + j + 3]
        for i in range(q):
            work[i] += a[i] * y0 + b[i] * y1 + c[i] * y2 + d[i] * y3
        j += 4
    while j < p:
        a, y0 = panel[j * ld + p : j * ld + ld], x[first + j]
        for i in range(q):
            work[i] += a[i] * y0
        j += 1
    for i in range(q):
        x[rows[i]] -= work[i]


@njit(cache=True, nogil=True)
def solve_lower(pivots: Any, panels: Any, struct: Any, struct_starts: Any, L: Any, x: Any, work: Any) -> None:
    """x = L^-1 x."""
    for front in range(len(pivots) - 1):
        first, s, e = pivots[front], struct_starts[front], struct_starts[front + 1]
        panel = L[panels[front] : panels[front + 1]]
        eliminate(panel, pivots[front + 1] - first, e - s, struct[s:e], x, first, work)


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def solve_upper(pivots: Any, panels: Any, struct: Any, struct_starts: Any, L: Any, x: Any, work: Any) -> None:
    """x = L^-T x."""
    for front in range(len(pivots) - 2, -1, -1):
        first, p = pivots[front], pivots[front + 1] - pivots[front]
        s = struct_starts[front]
        q = struct_starts[front + 1] - s
        ld = p + q
        at = panels[front]
        for i in range(q):
            work[i] = x[struct[s + i]]
        j = 0
        while j + 3 < p:
            f = at + j * ld + p
            a, b = L[f : f + q], L[f + ld : f + ld + q]
            c, d = L[f + 2 * ld : f + 2 * ld + q], L[f + 3 * ld : f + 3 * ld + q]
            y0, y1, y2, y3 = x[first + j], x[first + j + 1], x[first + j + 2], x[first + j + 3]
            for i in range(q):
                w = work[i]
                y0 -= a[i] * w
                y1 -= b[i] * w
                y2 -= c[i] * w
                y3 -= d[i] * w
            x[first + j], x[first + j + 1], x[first + j + 2], x[first + j + 3] = y0, y1, y2, y3
            j += 4
        while j < p:
            a, y0 = L[at + j * ld + p : at + j * ld + ld], x[first + j]
            for i in range(q):
                y0 -= a[i] * work[i]
            x[first + j] = y0
            j += 1
        for j in range(p - 1, -1, -1):
            y = x[first + j]
            for i in range(j + 1, p):
                y -= L[at + j * ld + i] * x[first + i]
            x[first + j] = y / L[at + j * ld + j]


@njit(cache=True, nogil=True)
def invert(
    calls: Any,
    one: Any,
    pivots: Any,
    panels: Any,
    below: Any,
    updates: Any,
    children: Any,
    child_starts: Any,
    runs: Any,
    run_starts: Any,
    L: Any,
    U: Any,
    Z: Any,
    work: Any,
) -> None:
    """Fill Z with the entries of (L L')^-1 that are at the places of L."""
    size = L.itemsize
    base, memory, inverse, buffer = L.ctypes.data, U.ctypes.data, Z.ctypes.data, work.ctypes.data
    for front in range(len(pivots) - 2, -1, -1):
        p, q = pivots[front + 1] - pivots[front], below[front]
        ld = p + q
        panel, source = Z[panels[front] : panels[front + 1]], L[panels[front] : panels[front + 1]]
        panel[:] = source
        at = inverse + panels[front] * size
        potri(calls[3], one, p, at, ld)
        if q > 0:
            for j in range(p):
                work[j * q : j * q + q] = source[j * ld + p : j * ld + ld]
            trsm(calls[1], _N, one, q, p, base + panels[front] * size, ld, buffer, q)
            symm(calls[4], -one, q, p, memory + updates[front] * size, q, buffer, q, at + p * size, ld)
            gemm(calls[5], -one, p, p, q, buffer, q, at + p * size, ld, at, ld)
        update = U[updates[front] : updates[front] + q * q]
        for c in range(child_starts[front], child_starts[front + 1]):
            child = children[c]
            n = below[child]
            take_update(
                U[updates[child] : updates[child] + n * n],
                n,
                runs,
                run_starts[child],
                run_starts[child + 1],
                p,
                panel,
                ld,
                update,
            )


@njit(cache=True, nogil=True)
def take_update(update: Any, q: int, runs: Any, first: int, last: int, p: int, panel: Any, ld: int, above: Any) -> None:
    """The rows and columns of a child, q x q, from the columns of its parent and the rows below them."""
    begin, target, length = runs
    wide = ld - p
    for a in range(first, last):
        for j in range(begin[a], begin[a] + length[a]):
            column = target[a] + j - begin[a]
            if column < p:
                to, out = column * ld, panel
            else:
                to, out = (column - p) * wide - p, above
            skipped = j - begin[a]
            for b in range(a, last):
                n = length[b] - skipped
                x, y = j * q + begin[b] + skipped, to + target[b] + skipped
                update[x : x + n] = out[y : y + n]
                skipped = 0
