"""The conformance checks are worth something: each of these plausible mistakes makes the right one fail."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from manifold_opt.manifolds import Manifold, Sphere
from manifold_opt.testing import (
    ConformanceError,
    check_accuracy,
    check_batches,
    check_coordinates,
    check_distance_derivatives,
    check_drift,
    check_embedding,
    check_errors,
    check_exp_log,
    check_generic_road,
    check_gradient_conversion,
    check_hessian_conversion,
    check_inverse_retractions,
    check_manifold,
    check_operations,
    check_out,
    check_radii,
    check_retractions,
    check_shapes_and_dtypes,
    check_transports,
    check_values,
    check_weingarten,
)


@dataclass(frozen=True, repr=False)
class Undeclared(Sphere):
    operations = Sphere.operations - {"exp"}


@dataclass(frozen=True, repr=False)
class OnlyDeclared(Sphere):
    weingarten = Manifold.weingarten


@dataclass(frozen=True, repr=False)
class DoublePrecision(Sphere):
    def exp(self, p, X, t=1.0, *, out=None):
        q = super().exp(p, X, t).astype(float)
        if out is None:
            return q
        out[...] = q
        return out


@dataclass(frozen=True, repr=False)
class SumsOverTheBatch(Sphere):
    def inner(self, p, X, Y):
        return float(np.sum(X * Y))


@dataclass(frozen=True, repr=False)
class ForgetsAliasing(Sphere):
    def project_into(self, p, X, out):
        np.multiply(p, 2.0, out=out)
        out += X
        return out

    def exp(self, p, X, t=1.0, *, out=None):
        if out is None:
            return super().exp(p, X, t)
        out[...] = np.cos(t * np.linalg.norm(X, axis=-1, keepdims=True)) * p
        length = np.linalg.norm(t * X, axis=-1, keepdims=True)
        out += np.sin(length) / length * t * X
        return out


@dataclass(frozen=True, repr=False)
class HalfSpeed(Sphere):
    def exp(self, p, X, t=1.0, *, out=None):
        return super().exp(p, X, 0.5 * t, out=out)


@dataclass(frozen=True, repr=False)
class WrongInverse(Sphere):
    def _inverse_retract_projection(self, p, q, *, out=None):
        return self.log(p, q, out=out)


@dataclass(frozen=True, repr=False)
class ProjectionCalledParallel(Sphere):
    def parallel_transport_to(self, p, X, q, *, out=None):
        return self._transport_projection(p, X, q, out=out)


@dataclass(frozen=True, repr=False)
class DroppedCoordinate(Sphere):
    def get_coordinates(self, p, X, basis=None, *, out=None):
        return X[..., 1:]


@dataclass(frozen=True, repr=False)
class ObliqueProjection(Sphere):
    def project_vector(self, p, Z):
        return Z - Z[..., :1] / p[..., :1] * p


@dataclass(frozen=True, repr=False)
class WrongCurvature(Sphere):
    @property
    def sectional_curvature_bounds(self):
        return -1.0, 0.0


@dataclass(frozen=True, repr=False)
class NoCurvatureInTheHessian(Sphere):
    def riemannian_hessian(self, p, G, H, X):
        return self.project_vector(p, H)


@dataclass(frozen=True, repr=False)
class WeingartenSign(Sphere):
    def weingarten(self, p, X, V):
        return -super().weingarten(p, X, V)


@dataclass(frozen=True, repr=False)
class UnprojectedGradient(Sphere):
    def riemannian_gradient(self, p, G):
        return 2.0 * self.project_vector(p, G)


@dataclass(frozen=True, repr=False)
class NumPyOnly(Sphere):
    def project_vector(self, p, Z):
        p, Z = (np.asarray(getattr(a, "_value", a)) for a in (p, Z))
        return Z - np.sum(p * Z, axis=-1, keepdims=True) * p


@dataclass(frozen=True, repr=False)
class NaiveDistance(Sphere):
    def distance(self, p, q):
        from manifold_opt.linalg import namespace

        xp = namespace(p, q)
        return xp.arccos(xp.clip(xp.sum(p * q, axis=-1), -1.0, 1.0))


@dataclass(frozen=True, repr=False)
class NeverNormalizes(Sphere):
    def exp(self, p, X, t=1.0, *, out=None):
        s = abs(t) * np.linalg.norm(X)
        return math.cos(s) * p + t * np.sinc(s / np.pi) * X


@dataclass(frozen=True)
class LooksLikeAnother(Sphere):
    def __repr__(self):
        return "a manifold"


@dataclass(frozen=True, repr=False)
class AcceptsAnything(Sphere):
    def check_point(self, p, atol=None):
        pass


@dataclass(frozen=True, repr=False)
class ArcCosine(Sphere):
    def distance(self, p, q):
        return np.arccos(np.clip(np.sum(p * q, axis=-1), -1.0, 1.0))


@pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")
@pytest.mark.parametrize(
    ("mistake", "check"),
    [
        (Undeclared, check_operations),
        (OnlyDeclared, check_operations),
        (DoublePrecision, check_shapes_and_dtypes),
        (SumsOverTheBatch, check_batches),
        (ForgetsAliasing, check_out),
        (HalfSpeed, check_exp_log),
        (HalfSpeed, check_retractions),
        (WrongInverse, check_inverse_retractions),
        (ProjectionCalledParallel, check_transports),
        (DroppedCoordinate, check_coordinates),
        (ObliqueProjection, check_embedding),
        (WrongCurvature, check_radii),
        (NoCurvatureInTheHessian, check_hessian_conversion),
        (WeingartenSign, check_weingarten),
        (UnprojectedGradient, check_gradient_conversion),
        (NumPyOnly, check_generic_road),
        (NaiveDistance, check_distance_derivatives),
        (NeverNormalizes, check_drift),
        (LooksLikeAnother, check_values),
        (AcceptsAnything, check_errors),
    ],
    ids=lambda x: x.__name__,
)
def test_mistake_is_found(mistake, check):
    check(Sphere(2))
    with pytest.raises(ConformanceError):
        check(mistake(2))


def test_lost_digits_are_found():
    from manifolds.exact import sphere_log

    with pytest.raises(ConformanceError, match="distance in float64 at length 1e-12"):
        check_accuracy(ArcCosine(2), sphere_log)


def test_check_manifold_runs_them_all():
    check_manifold(Sphere(1))
    with pytest.raises(ConformanceError, match="HalfSpeed"):
        check_manifold(HalfSpeed(2))
