"""Run benchmarks: ``python -m benchmarks [names] [--write]``."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from .harness import versions

NAMES = (
    "overhead",
    "manifold_calls",
    "frechet_mean",
    "problems",
    "low_rank",
    "flat",
    "nist",
    "fits",
    "bundle_adjustment",
    "sparse",
    "batches",
    "pose_graphs",
)
PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Side by side with other packages in one process on one machine (two shared cores, one BLAS thread): read the ratios. A
ratio above 1 in a column about peers says how many times longer they take. Taken with {versions} by

```text
OPENBLAS_NUM_THREADS=1 python -m benchmarks --write
```
"""


FOOT = """## What is missed, and why

- Sparse factorization: the 290 million operations on sphere2500 would take 9 ms at the rate of a large matrix product
  on this machine (33 billion per second); on its fronts of at most some hundred rows they take about twice that. In
  NumPy the same costs two and a half times as much again: calls of LAPACK and some slices for each of 330 fronts.
- Sparse runs: about two fifths of a run on sphere2500 are factorizations, a third Jacobian blocks in NumPy, a tenth the
  analysis of the pattern, which a second run of the same pattern finds done.
- Memory: numba takes 65 MB by being imported, and more with what it has compiled, so that sphere2500 solved by
  "compiled" takes 1.8 times what GTSAM's process does, and 1.2 times as much by "numpy"; the budget is 1.5.
- Bundle adjustment takes more memory than Ceres: Python with NumPy and SciPy to begin with, and arrays of all
  Jacobian blocks at once, where Ceres goes point by point.
- The machine is shared and its speed changes within a run by a factor of up to two, which the turns even out only in
  part: a constant step cannot cost more than a line search, as one of the rows above may say.
- Levenberg-Marquardt, 20 x 2: of a step, a fifth goes to the QR factorization of [J r] with its tests and an eighth to
  the undamped step; singular values are taken only where the radius cuts the step. The rest is Python, spread thin.
- A front call with autograd: a profile gives nearly half of it to resolving the derivative, which is one trace, one
  gradient, and the random difference that guards against derivatives lost on the way; that gradient is not made again.
- A thousand points on manifolds: with a hundred entries a point (Sphere(99)) memory is what counts, and dividing by the
  norm, which keeps rounding from growing, and the tangential part of q - p, which keeps the digits of close points,
  are passes that the hand-written formulas leave out. Hyperbolic: boosts keep the digits near and far; by hand, the
  Lorentz form of p and q loses them.
- A small point on manifolds: where a peer is ahead it is by microseconds, with operations of one NumPy call (adding a
  vector, returning an argument), or with another retraction: pymanopt's default on Grassmann manifolds is the polar
  factor, ours the exponential.
- Conjugate gradients: the search takes 2.5 trials per iteration on this tiny problem, and half of the time is
  exponential maps, transports and inner products of three numbers.
- MaxCut: trust regions, which `minimize` takes with a Hessian given, need 570 products; pymanopt's conjugate gradients
  need 1240 costs and gradients of the same price. A profile of ours gives a sixth to the user's sparse products and
  half to projections and updates of vectors of 80 kB.
- Rotation averaging: most of the time of all is the user's gradient, which adds up blocks one by one.
- Flat problems: an iteration of L-BFGS costs 35 to 45 us beyond the user's functions, one of SciPy's compiled L-BFGS-B
  10 to 20 per call. On quadratics a full matrix takes up to five times the calls of SciPy's BFGS: it is scaled by the
  first pair, which halves the calls for Rayleigh quotients on spheres, but takes 1.6 to 1.8 times those of
  `initial_scale=10` where the condition is bad and the unknowns are few. `LanczosState` needs fewer products than
  trust-krylov, but is not compiled.
- NIST with autograd: a Jacobian is one run of the model that carries all columns along, some 10 us per operation; the
  call of a front function, with its trace and its check, is a quarter of a short fit.
- A small fit: the front call takes a third of the time beyond the user's functions, and the scale-free test of
  convergence one iteration more than MINPACK makes. A profile of the rest is that of the steps above.
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help="which ones; default all")
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.md: the page, or their sections")
    options = parser.parse_args()
    names = options.names or NAMES
    text = [HEAD.format(versions=versions())]
    for name in names:
        for table in importlib.import_module(f"benchmarks.{name}").tables():
            text.append(table.markdown())
            print(text[-1], flush=True)
    if options.write and tuple(names) == NAMES:
        PAGE.write_text("\n".join([*text, FOOT]), encoding="utf-8")
    elif options.write:
        PAGE.write_text(with_sections(PAGE.read_text(encoding="utf-8"), text[1:]), encoding="utf-8")


def with_sections(page: str, sections: list[str]) -> str:
    """The page with these sections in the place of those of the same title, and the end as it stands here."""
    parts = ["## " + part for part in page.split("\n## ")]
    parts[0] = parts[0].removeprefix("## ")
    new = {section.partition("\n")[0]: section.rstrip("\n") + "\n" for section in [*sections, FOOT]}
    return "\n".join(new.get(part.partition("\n")[0], part) for part in parts)


if __name__ == "__main__":
    main()
