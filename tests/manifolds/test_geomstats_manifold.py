"""Spaces of geomstats: native ones are promoted, the others do what a manifold does, and real problems end well."""

from __future__ import annotations

import copy
import math
import pickle
import subprocess
import sys

import numpy as np
import pytest

from manifold_opt import (
    Euclidean,
    HalfSpace,
    Hermitian,
    HermitianPositiveDefinite,
    Hyperbolic,
    KendallShape,
    PoincareBall,
    Positive,
    PowerManifold,
    PreShape,
    ProbabilitySimplex,
    ProductManifold,
    Rotations,
    SkewSymmetric,
    Sphere,
    Stiefel,
    Symmetric,
    SymmetricPositiveDefinite,
    adaptive_regularization_with_cubics,
    conjugate_gradient_descent,
    functions,
    gradient_descent,
    levenberg_marquardt,
    quasi_newton,
    trust_regions,
)
from manifold_opt.manifolds import GeomstatsManifold, MissingOperation, NotOnManifold, import_geomstats
from manifold_opt.testing import MANIFOLD_CHECKS, check_distance_derivatives, check_drift, check_generic_road

NEEDS_OTHER_ARRAYS = (check_generic_road, check_distance_derivatives)
CHECKS = [check for check in MANIFOLD_CHECKS if check not in (*NEEDS_OTHER_ARRAYS, check_drift)]


def space(name, *arguments, module=None, **keywords):
    """A geomstats space by its class, whose module is geometry's of that name unless it is given."""
    found = import_geomstats(f"geomstats.{module}")
    return getattr(found, name)(*arguments, **keywords)


def geometry(name, *arguments, **keywords):
    modules = {
        "Euclidean": "euclidean",
        "Matrices": "matrices",
        "SymmetricMatrices": "symmetric_matrices",
        "SkewSymmetricMatrices": "skew_symmetric_matrices",
        "HermitianMatrices": "hermitian_matrices",
        "Hypersphere": "hypersphere",
        "Hyperboloid": "hyperboloid",
        "PoincareBall": "poincare_ball",
        "PoincareHalfSpace": "poincare_half_space",
        "PositiveReals": "positive_reals",
        "SPDMatrices": "spd_matrices",
        "SpecialOrthogonal": "special_orthogonal",
        "SpecialEuclidean": "special_euclidean",
        "Stiefel": "stiefel",
        "NFoldManifold": "nfold_manifold",
        "ProductManifold": "product_manifold",
        "Siegel": "siegel",
        "DiscreteCurvesStartingAtOrigin": "discrete_curves",
        "RankKPSDMatrices": "rank_k_psd_matrices",
    }
    return space(name, *arguments, module=f"geometry.{modules[name]}", **keywords)


def spd(metric):
    module = import_geomstats("geomstats.geometry.spd_matrices")
    return module.SPDMatrices(2, equip=False).equip_with_metric(getattr(module, metric))


def information(name, *arguments, **keywords):
    modules = {
        "NormalDistributions": "normal",
        "CategoricalDistributions": "categorical",
        "GammaDistributions": "gamma",
        "BetaDistributions": "beta",
    }
    return space(name, *arguments, module=f"information_geometry.{modules[name]}", **keywords)


# ---------------- importing it


IMPORT = """
import logging, numpy as np
before = dict(vars(np))
level, handlers = logging.getLogger().level, list(logging.getLogger().handlers)
from manifold_opt import Sphere
from manifold_opt.manifolds import GeomstatsManifold, import_geomstats
import_geomstats()
from geomstats.geometry.hypersphere import Hypersphere
from geomstats.information_geometry.gamma import GammaDistributions
assert GeomstatsManifold(Hypersphere(2)) == Sphere(2)
assert GeomstatsManifold(GammaDistributions()).has("exp")
new = [name for name in vars(np) if name not in before]
assert "trapz" not in new and not [n for n in before if n not in vars(np)], new
assert (level, handlers) == (logging.getLogger().level, list(logging.getLogger().handlers))
"""


def test_importing_leaves_numpy_and_logging_alone():
    """geomstats 2.8 alone does not import under NumPy 2.4 (it wants ``trapz``), and sets up the root logger."""
    answer = subprocess.run([sys.executable, "-W", "error", "-c", IMPORT], capture_output=True, text=True, timeout=60)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout == answer.stderr == ""


def test_importing_what_is_not_there():
    with pytest.raises(ModuleNotFoundError, match="no_such"):
        import_geomstats("geomstats.geometry.no_such")


# ---------------- promotion

PROMOTED = [
    (lambda: geometry("Euclidean", 3), Euclidean(3)),
    (lambda: geometry("Matrices", 2, 3), Euclidean(2, 3)),
    (lambda: geometry("SymmetricMatrices", 3), Symmetric(3)),
    (lambda: geometry("SkewSymmetricMatrices", 3), SkewSymmetric(3)),
    (lambda: geometry("HermitianMatrices", 2), Hermitian(2)),
    (lambda: geometry("Hypersphere", 2), Sphere(2)),
    (lambda: geometry("Hyperboloid", 3), Hyperbolic(3)),
    (lambda: geometry("PoincareBall", 2), PoincareBall(2)),
    (lambda: geometry("PoincareHalfSpace", 3), HalfSpace(3)),
    (lambda: geometry("PositiveReals"), Positive(1)),
    (lambda: geometry("SPDMatrices", 3), SymmetricPositiveDefinite(3)),
    (lambda: spd("SPDLogEuclideanMetric"), SymmetricPositiveDefinite(2, metric="log-euclidean")),
    (lambda: spd("SPDBuresWassersteinMetric"), SymmetricPositiveDefinite(2, metric="bures-wasserstein")),
    (lambda: space("HPDMatrices", 2, module="geometry.hpd_matrices"), HermitianPositiveDefinite(2)),
    (lambda: geometry("SpecialOrthogonal", 3), Rotations(3)),
    (lambda: geometry("Stiefel", 4, 2), Stiefel(4, 2, metric="canonical")),
    (lambda: information("CategoricalDistributions", 3), ProbabilitySimplex(3)),
    (lambda: space("PreShapeSpace", 4, 2, module="geometry.pre_shape"), PreShape(4, 2)),
    (lambda: geometry("NFoldManifold", geometry("Hypersphere", 2), 3), PowerManifold(Sphere(2), 3)),
    (
        lambda: geometry("ProductManifold", [geometry("Hypersphere", 2), geometry("SPDMatrices", 2)]),
        ProductManifold(M0=Sphere(2), M1=SymmetricPositiveDefinite(2)),
    ),
]


@pytest.mark.parametrize(("make", "native"), PROMOTED, ids=[repr(native) for _, native in PROMOTED])
def test_promotion_keeps_points_and_metric(make, native):
    s = make()
    assert GeomstatsManifold(s) == native
    M = GeomstatsManifold(s, native=False)
    assert isinstance(M, GeomstatsManifold) and M.dim == native.dim and M.point_shape == native.point_shape
    rng = np.random.default_rng(3)
    p = native.random_point(rng)
    X, Y = (0.3 * native.random_vector(p, rng) for _ in range(2))
    q = native.exp(p, X)
    M.check_point(q)
    in_theirs = [native.embed_vector(p, V) for V in (X, Y)]
    assert M.inner(p, *in_theirs) == pytest.approx(native.inner(p, X, Y), abs=1e-13)
    np.testing.assert_allclose(M.exp(p, in_theirs[0]), q, atol=1e-12)
    np.testing.assert_allclose(M.log(p, q), in_theirs[0], atol=1e-8)  # theirs of Stiefel is good to that
    assert M.distance(p, q) == pytest.approx(native.distance(p, q), abs=1e-8)


def test_quotients_are_promoted_or_refused():
    """On the space of shapes geomstats' metric is degenerate along turns: frames and gradients have no answer there."""
    s = space("PreShapeSpace", 4, 2, module="geometry.pre_shape")
    s.equip_with_group_action("rotations")
    s.equip_with_quotient()
    M = GeomstatsManifold(s.quotient)
    assert M == KendallShape(4, 2)
    p = M.random_point(0)
    X = 0.3 * M.random_vector(p, 1)
    metric = s.quotient.metric
    np.testing.assert_allclose(metric.exp(X, p), M.exp(p, X), atol=1e-13)
    assert metric.inner_product(X, X, p) == pytest.approx(M.inner(p, X, X))
    with pytest.raises(ValueError, match="quotient"):
        GeomstatsManifold(s.quotient, native=False)


@pytest.mark.parametrize(
    ("make", "native"), [PROMOTED[6], PROMOTED[10]], ids=["Hyperbolic(3)", "SymmetricPositiveDefinite(3)"]
)
def test_gradients_and_hessians_agree_with_the_native_ones(make, native):
    """The Gram solve and Koszul's formula by differences against closed forms, on metrics that are not the embedding's.

    geomstats' ``to_tangent`` on the hyperboloid is orthogonal in the Lorentz form: as a gradient it would be wrong.
    """
    M = GeomstatsManifold(make(), native=False)
    rng = np.random.default_rng(4)
    p = native.random_point(rng)
    X = native.random_vector(p, rng)
    G, H = (rng.standard_normal(M.point_shape) for _ in range(2))
    np.testing.assert_allclose(M.riemannian_gradient(p, G), native.riemannian_gradient(p, G), atol=1e-12)
    np.testing.assert_allclose(M.riemannian_hessian(p, G, H, X), native.riemannian_hessian(p, G, H, X), atol=1e-7)


# ---------------- spaces that only geomstats has

SPACES = [
    lambda: geometry("Siegel", 2),
    lambda: geometry("DiscreteCurvesStartingAtOrigin", 2, 4),
    lambda: information("NormalDistributions", 1),
]


@pytest.mark.parametrize("make", SPACES, ids=["Siegel", "curves", "normal"])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_conformance(make, check):
    M = GeomstatsManifold(make(), native=False)
    name = check.__name__
    if "Normal" in repr(M) and name in ("check_values", "check_retractions"):
        pytest.skip("geomstats 2.8 puts wrapped functions into scaled metrics, which do not pickle")
    if "Siegel" in repr(M) and name == "check_batches":
        pytest.skip("second differences of a formula that is evaluated beside a singular matrix: 1e-10, not 1e-11")
    if "Curves" in repr(M) and name == "check_shapes_and_dtypes":
        pytest.skip("second differences in single precision: 1e-3, not 1e-4")
    check(M)


def test_equal_when_the_parameters_are():
    M = GeomstatsManifold(geometry("Siegel", 2))
    assert M == GeomstatsManifold(geometry("Siegel", 2)) != GeomstatsManifold(geometry("Siegel", 3))
    assert M != GeomstatsManifold(geometry("Siegel", 2, symmetric=True))
    assert M != GeomstatsManifold(geometry("Siegel", 2), verify=False)
    assert M == copy.deepcopy(M) == pickle.loads(pickle.dumps(M))
    assert len({M, copy.deepcopy(M)}) == 1


def test_random_points_leave_the_global_state_alone():
    M = GeomstatsManifold(geometry("Siegel", 2))
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    p = M.random_point(1, (3,))
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    np.testing.assert_array_equal(p, M.random_point(1, (3,)))


def test_what_is_not_a_space_is_refused():
    with pytest.raises(TypeError, match="shape"):
        GeomstatsManifold(Sphere(2))
    with pytest.raises(TypeError, match="equip_with_metric"):
        GeomstatsManifold(geometry("Siegel", 2, equip=False))


def test_points_outside_are_refused():
    M = GeomstatsManifold(geometry("Siegel", 2))
    with pytest.raises(NotOnManifold, match="Siegel"):
        M.check_point(2.0 * np.eye(2, dtype=complex))
    with pytest.raises(NotOnManifold, match="1 of 2 points"):
        M.check_point(np.stack([0.1 * np.eye(2), 2.0 * np.eye(2)]).astype(complex))


def test_distances_are_differentiated_inside_a_cost():
    import autograd

    M = GeomstatsManifold(geometry("Hyperboloid", 2), native=False)
    p, q = M.random_point(0), M.random_point(1)
    g = M.riemannian_gradient_from_storage(p, autograd.grad(lambda x: M.squared_distance(x, q))(p))
    np.testing.assert_allclose(g, -2.0 * M.log(p, q), atol=1e-10)
    with pytest.raises(TypeError, match="squared_distance"):
        autograd.grad(lambda x: M.exp(x, M.log(x, q))[0])(p)


# ---------------- real problems


def test_mean_of_normal_distributions():
    """Fisher-Rao on (mean, deviation) is the half plane of (mean / sqrt(2), deviation), scaled: both have one mean."""
    M, H = GeomstatsManifold(information("NormalDistributions", 1)), HalfSpace(2)
    scale = np.array([math.sqrt(2.0), 1.0])
    points = H.random_point(5, (6,)) * scale
    f = functions.FrechetMean(M, points)
    theirs = quasi_newton(M, f.fused, points[0], tolerance=1e-10)
    g = functions.FrechetMean(H, points / scale)
    ours = quasi_newton(H, g.fused, points[0] / scale, tolerance=1e-10)
    assert theirs.converged and ours.converged
    np.testing.assert_allclose(theirs.point, ours.point * scale, atol=1e-8)


@pytest.mark.parametrize(
    "solver",
    [
        gradient_descent,
        conjugate_gradient_descent,
        quasi_newton,
        trust_regions,
        adaptive_regularization_with_cubics,
        levenberg_marquardt,
    ],
    ids=lambda solver: solver.__name__,
)
def test_every_solver_takes_it(solver):
    """The mean of three normal distributions; least squares by differences, as geomstats cannot be traced."""
    M = GeomstatsManifold(information("NormalDistributions", 1))
    points = np.array([[0.0, 1.0], [0.5, 1.5], [-0.2, 0.8]])
    expected = quasi_newton(M, functions.FrechetMean(M, points).fused, points[0], tolerance=1e-9).point
    if solver is levenberg_marquardt:
        residual = lambda p: M.get_coordinates(points, M.log(points, p)).reshape(-1)
        with pytest.warns(match="finite differences"):
            result = solver(M, residual, points[0], max_iterations=12)
        np.testing.assert_allclose(result.point, expected, atol=1e-3)
    else:
        result = solver(M, functions.FrechetMean(M, points).fused, points[0], tolerance=1e-7)
        assert result.converged
        np.testing.assert_allclose(result.point, expected, atol=1e-6)


def test_maximum_likelihood_on_gamma_distributions():
    """The natural gradient: SciPy's estimate is the minimizer, whatever the metric."""
    from autograd.scipy.special import gammaln
    from scipy.stats import gamma

    x = gamma(3.0, scale=0.5).rvs(200, random_state=np.random.default_rng(0))
    mean, mean_log = x.mean(), np.log(x).mean()
    M = GeomstatsManifold(information("GammaDistributions"))  # (shape, mean) are its parameters
    import autograd.numpy as anp

    def cost(p):
        k, m = p[0], p[1]
        return -(k * anp.log(k / m) - gammaln(k) + (k - 1.0) * mean_log - k * mean / m)

    result = trust_regions(M, cost, np.array([1.0, 1.0]), tolerance=1e-9)
    k, _, scale = gamma.fit(x, floc=0.0)
    assert result.converged
    np.testing.assert_allclose(result.point, [k, k * scale], rtol=1e-6)


def test_mean_of_two_beta_distributions():
    """Where geomstats integrates geodesics, the mean of two points is the middle of theirs."""
    M = GeomstatsManifold(information("BetaDistributions"))
    points = np.array([[1.0, 2.0], [2.0, 1.5]])
    f = functions.FrechetMean(M, points)
    result = gradient_descent(M, f.fused, points[0], tolerance=1e-5)
    assert M.default_retraction == "projection"
    np.testing.assert_allclose(result.point, M.mid_point(points[0], points[1]), atol=1e-3)


def test_mean_in_siegel_space():
    """Diagonal matrices are a product of Poincare disks of half our curvature's length; their mean is that of disks."""
    M, D = GeomstatsManifold(geometry("Siegel", 2)), PoincareBall(2)
    disks = D.project_point(0.5 * np.random.default_rng(1).uniform(-1, 1, (5, 2, 2)))
    points = np.zeros((5, 2, 2), dtype=complex)
    points[:, [0, 1], [0, 1]] = disks[..., 0] + 1j * disks[..., 1]
    result = quasi_newton(M, functions.FrechetMean(M, points).fused, points[0], tolerance=1e-9)
    assert result.converged
    P = PowerManifold(D, 2)
    ours = quasi_newton(P, functions.FrechetMean(P, disks).fused, disks[0], tolerance=1e-9)
    np.testing.assert_allclose(
        result.point, np.diag(ours.point[:, 0] + 1j * ours.point[:, 1]), atol=1e-7
    )


def test_mean_of_curves():
    """The square-root velocity makes the space of curves flat: the mean has the mean velocity."""
    s = geometry("DiscreteCurvesStartingAtOrigin", 2, 8)
    M = GeomstatsManifold(s)
    t = np.linspace(0.0, 1.0, 8)[1:]
    turns = np.array([0.5, 0.8, 1.0, 1.3])[:, None]
    curves = np.stack([t * np.cos(turns * t), t * np.sin(turns * t) + 0.1 * t**2], axis=-1)
    result = quasi_newton(M, functions.FrechetMean(M, curves).fused, curves[0], tolerance=1e-10)
    assert result.converged
    velocity = np.mean(s.metric.diffeo(curves), axis=0)
    np.testing.assert_allclose(result.point, s.metric.diffeo.inverse(velocity), atol=1e-8)


# ---------------- what geomstats gets wrong


def test_geomstats_sphere_log_at_the_antipode_is_zero():
    """There a zero vector is returned; here that its exponential misses is an error, and the native class answers."""
    s = geometry("Hypersphere", 2)
    p = np.array([0.0, 0.6, 0.8])
    try:
        X = GeomstatsManifold(s, native=False).log(p, -p)
    except ValueError as error:
        assert "cut locus" in str(error)
    else:
        assert np.linalg.norm(X) == pytest.approx(math.pi)
    assert Sphere(2).norm(p, GeomstatsManifold(s).log(p, -p)) == pytest.approx(math.pi)


def test_geomstats_rotations_complex_log_near_pi():
    """There complex numbers at pi - 1e-7, and an exception at pi."""
    s = geometry("SpecialOrthogonal", 3)
    M, N = GeomstatsManifold(s, native=False), GeomstatsManifold(s)
    p = np.eye(3)
    for gap in (1e-7, 0.0):
        q = N.exp(p, (math.pi - gap) * np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]))
        assert N.distance(p, q) == pytest.approx(math.pi - gap)
        try:
            X = M.log(p, q)
        except ValueError as error:
            assert "logarithm" in str(error).lower()
        else:
            assert X.dtype.kind == "f" and M.norm(p, X) == pytest.approx(math.pi - gap, abs=1e-6)


def test_geomstats_injectivity_radius_of_rotations_is_not_taken_over():
    """There pi sqrt(3) on SO(3), where pi is right."""
    s = geometry("SpecialOrthogonal", 3)
    assert not GeomstatsManifold(s, native=False).has("injectivity_radius")
    assert GeomstatsManifold(s).injectivity_radius == math.pi


def test_geomstats_hyperboloid_keeps_accuracy_when_promoted():
    """There distance 0 at 1e-8 and an exception from exp at 20."""
    M = GeomstatsManifold(geometry("Hyperboloid", 2))
    p = M.random_point(0)
    X = M.random_vector(p, 1)
    X /= M.norm(p, X)
    for length in (1e-8, 10.0, 20.0):
        assert M.distance(p, M.exp(p, X, length)) == pytest.approx(length, rel=1e-7)


def test_geomstats_hyperboloid_projection_is_no_retraction():
    """Its derivative at a point is not the identity on tangent vectors: the trial leaves it out."""
    M = GeomstatsManifold(geometry("Hyperboloid", 2), native=False)
    assert not M.has("project_point") and "projection" not in M._names("retraction")


def test_geomstats_poincare_ball_stays_inside_when_promoted():
    """There exp of a vector of length 20 is a point of the boundary."""
    M = GeomstatsManifold(geometry("PoincareBall", 2))
    q = M.exp(np.zeros(2), np.array([10.0, 0.0]))
    assert np.linalg.norm(q) < 1.0
    assert M.distance(np.zeros(2), q) == pytest.approx(20.0, rel=1e-6)


def test_geomstats_diagonal_normals_mix_variance_and_deviation():
    """Points hold variances, vectors are taken for velocities of deviations: exp does not start along its vector."""
    M = GeomstatsManifold(information("NormalDistributions", 2, distribution_type="diagonal"))
    assert not M.has("exp") and not M.has("log")
    with pytest.raises(MissingOperation):
        M.log(M.random_point(0), M.random_point(1))


def test_geomstats_siegel_exp_of_a_singular_vector():
    """There it is the base point."""
    M = GeomstatsManifold(geometry("Siegel", 2))
    zero, X = np.zeros((2, 2), dtype=complex), np.diag([0.3 + 0.0j, 0.0])
    np.testing.assert_allclose(M.exp(zero, X), np.diag([math.tanh(0.3), 0.0]), atol=1e-9)
    p = M.random_point(0)
    X = np.outer([0.1, 0.2], [0.1j, 0.3])
    np.testing.assert_allclose(M.log(p, M.exp(p, X)), X, atol=1e-7)


def test_geomstats_counts_positive_ranks_wrongly():
    """Matrices of rank 2 among symmetric 3 x 3 ones have dimension 3 * 2 - 1."""
    assert GeomstatsManifold(geometry("RankKPSDMatrices", 3, 2)).dim == 5


def test_geomstats_float32_stays():
    """There single precision becomes double."""
    M = GeomstatsManifold(geometry("Hypersphere", 2), native=False)
    p, q = M.random_point(0, (2,)).astype(np.float32)
    assert M.exp(p, M.log(p, q)).dtype == np.float32
