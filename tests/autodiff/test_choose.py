"""Which back end is chosen, and what is said about it."""

import importlib.util
import math
import subprocess
import sys

import autograd.numpy as anp
import numpy as np
import pytest

from manifold_opt.autodiff import BACKENDS, CannotDifferentiate, DerivativeWarning, FiniteDifferences, choose_backend
from manifold_opt.manifolds import Euclidean

P = np.array([1.0, -2.0, 0.5])


def writes_into_an_array(p):
    z = np.zeros(3)
    z[0] = p[0] ** 2
    return z.sum()


def writes_into_a_copy(p):
    q = p * 1.0
    q[0] = 1.0
    return q.sum()


UNTRACEABLE = [
    (lambda p: float(p[0]) ** 2, "Python numbers"),
    (lambda p: math.sin(p[0]), "Python numbers"),
    (writes_into_an_array, "NumPy array"),
    (writes_into_a_copy, "writes into the point"),
    (lambda p: np.linalg.det(np.outer(p, p)), "plain NumPy"),
    (lambda p: anp.linalg.qr(anp.outer(p, p))[0][0, 0], "no derivative rule"),
]


@pytest.mark.parametrize("f, why", UNTRACEABLE)
def test_what_runs_but_cannot_be_traced_is_differenced_with_one_line_saying_why(f, why):
    with pytest.warns(DerivativeWarning, match=why) as record:
        backend = choose_backend("auto", f, P)
    assert backend == FiniteDifferences()
    assert len(record) == 1 and "\n" not in str(record[0].message)


@pytest.mark.parametrize("f, why", UNTRACEABLE)
def test_a_named_back_end_raises_instead(f, why):
    with pytest.raises(ValueError, match="autograd cannot differentiate"):
        choose_backend("autograd", f, P)


def test_traceable_functions_take_autograd_after_one_call():
    calls = []
    f = lambda p: calls.append(1) or anp.sum(p**2)
    assert choose_backend("auto", f, P).name == "autograd"
    assert len(calls) == 1


def test_an_error_of_the_function_itself_is_passed_on():
    def f(p):
        raise KeyError("of the user")

    with pytest.raises(KeyError, match="of the user"):
        choose_backend("auto", f, P)


def test_an_unknown_name_lists_the_names_and_the_nearest():
    with pytest.raises(ValueError, match="'complex-step'.*got 'autogard'.*mean 'autograd'"):
        choose_backend("autogard", np.sum, P)


@pytest.mark.parametrize("name", BACKENDS)
def test_the_table_names_its_back_ends(name):
    assert BACKENDS[name].name == name
    assert hash(BACKENDS[name]) == hash(type(BACKENDS[name])())


def test_a_back_end_with_options_can_be_given():
    backend = FiniteDifferences(step=1e-4)
    assert choose_backend(backend, np.sum, P) is backend


@pytest.mark.parametrize(
    "f",
    [np.linalg.norm, lambda p: np.sum(np.abs(p)), writes_into_an_array],
    ids=["norm", "abs", "real array"],
)
def test_complex_steps_refuse_what_is_visibly_not_analytic(f):
    with pytest.raises(CannotDifferentiate, match="complex-step"):
        choose_backend("complex-step", f, P)


def test_complex_steps_need_real_points():
    with pytest.raises(CannotDifferentiate, match="real"):
        choose_backend("complex-step", np.sum, P + 0j)


@pytest.mark.parametrize("name", ["jax", "torch"])
def test_a_missing_library_is_named_with_its_extra(name):
    if importlib.util.find_spec(name) is not None:
        pytest.skip(f"{name} is installed")
    with pytest.raises(ImportError, match=rf"manifold_opt\[{name}\]"):
        choose_backend(name, np.sum, P)


def test_auto_recognizes_jax():
    jnp = pytest.importorskip("jax.numpy")
    assert choose_backend("auto", lambda p: jnp.sum(jnp.asarray(p) ** 2), P).name == "jax"


def test_auto_recognizes_torch():
    torch = pytest.importorskip("torch")
    assert choose_backend("auto", lambda p: torch.sum(torch.as_tensor(p) ** 2), P).name == "torch"
    assert choose_backend("auto", lambda p: [torch.as_tensor(p)], P).name == "torch"


def test_jax_falls_back_to_uncompiled_functions():
    jnp = pytest.importorskip("jax.numpy")
    branching = lambda p: jnp.sum(p**2) if p[0] > 0 else jnp.sum(p)
    backend = choose_backend("jax", branching, P)
    assert not backend.jit
    np.testing.assert_allclose(backend.gradient(branching, Euclidean(3))(P), 2 * P)
    assert choose_backend("jax", lambda p: jnp.sum(p), P).jit


def test_torch_refuses_a_function_that_returns_no_tensor():
    pytest.importorskip("torch")
    with pytest.raises(CannotDifferentiate, match="torch"):
        choose_backend("torch", lambda p: 1.0, P)


def test_importing_the_package_imports_no_library_for_differentiation():
    code = "import sys, manifold_opt.autodiff; print([m for m in ('jax', 'torch') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
