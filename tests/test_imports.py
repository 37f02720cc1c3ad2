"""Importing the package is quick and quiet: nothing optional, nothing slow, nothing printed."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Never loaded by `import manifold_opt`; each is imported inside the function that needs it.
NEVER = [
    "geomstats",
    "sklearn",
    "pandas",
    "matplotlib",
    "jax",
    "torch",
    "rich",
    "mpmath",
    "scipy.sparse",
    "scipy.optimize",
    "scipy.stats",
    "autograd.scipy",
]

# The budget is a property of the package, not of the machine's mood: the best of several fresh processes counts.
SECONDS = 0.25
RUNS = 5


def run(code: str) -> str:
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert answer.stderr == ""
    return answer.stdout


def test_importing_loads_nothing_optional():
    loaded = run("import manifold_opt, sys; print(' '.join(sys.modules))").split()
    found = [name for name in NEVER if any(m == name or m.startswith(name + ".") for m in loaded)]
    assert found == []


def test_the_solvers_load_nothing_optional():
    code = "import manifold_opt as m, sys; [getattr(m, n) for n in m.__all__]; print(' '.join(sys.modules))"
    loaded = run(code).split()
    assert [name for name in NEVER if name in loaded] == []


def test_an_unknown_name_is_an_attribute_error():
    import manifold_opt

    with pytest.raises(AttributeError, match="Spere"):
        manifold_opt.Spere  # noqa: B018


def test_importing_is_quick():
    code = "import time; t = time.perf_counter(); import manifold_opt; print(time.perf_counter() - t)"
    assert min(float(run(code)) for _ in range(RUNS)) < SECONDS


def test_importing_prints_nothing():
    assert run("import manifold_opt") == ""


def test_every_public_name_exists():
    import manifold_opt

    assert len(set(manifold_opt.__all__)) == len(manifold_opt.__all__)
    for name in manifold_opt.__all__:
        assert getattr(manifold_opt, name) is not None, name


@pytest.mark.parametrize("name", ["Sphere", "gradient_descent", "levenberg_marquardt", "Problem", "Result"])
def test_the_names_of_the_quick_start_are_public(name):
    import manifold_opt

    assert name in manifold_opt.__all__
