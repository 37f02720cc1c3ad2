"""Geometry: Riemannian manifolds, one family a file."""

from manifold_opt.manifolds.base import Manifold
from manifold_opt.manifolds.errors import MissingOperation, NotOnManifold, NotTangent
from manifold_opt.manifolds.euclidean import Euclidean
from manifold_opt.manifolds.sphere import Sphere

__all__ = ["Euclidean", "Manifold", "MissingOperation", "NotOnManifold", "NotTangent", "Sphere"]
