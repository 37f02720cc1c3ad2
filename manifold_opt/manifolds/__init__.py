"""Geometry: Riemannian manifolds, one family a file."""

from manifold_opt.manifolds.affine_invariant import HermitianPositiveDefinite
from manifold_opt.manifolds.base import Manifold
from manifold_opt.manifolds.correlation import Correlation
from manifold_opt.manifolds.doubly_stochastic import DoublyStochastic
from manifold_opt.manifolds.elliptope import Elliptope
from manifold_opt.manifolds.errors import MissingOperation, NotOnManifold, NotTangent
from manifold_opt.manifolds.essential import Essential
from manifold_opt.manifolds.euclidean import Euclidean
from manifold_opt.manifolds.fixed_rank import FixedRank
from manifold_opt.manifolds.fixed_rank_factors import FixedRankFactors
from manifold_opt.manifolds.flag import Flag
from manifold_opt.manifolds.generalized_grassmann import GeneralizedGrassmann
from manifold_opt.manifolds.generalized_stiefel import GeneralizedStiefel
from manifold_opt.manifolds.geomstats_import import import_geomstats
from manifold_opt.manifolds.geomstats_manifold import GeomstatsManifold
from manifold_opt.manifolds.grassmann import Grassmann
from manifold_opt.manifolds.half_space import HalfSpace
from manifold_opt.manifolds.hyperbolic import Hyperbolic
from manifold_opt.manifolds.hyperrectangle import Hyperrectangle
from manifold_opt.manifolds.kendall_shape import KendallShape
from manifold_opt.manifolds.linear_spaces import Centered, Hermitian, SkewSymmetric, Symmetric
from manifold_opt.manifolds.metric_manifold import MetricManifold
from manifold_opt.manifolds.oblique import ArraySphere, ComplexCircle, Oblique
from manifold_opt.manifolds.poincare_ball import PoincareBall
from manifold_opt.manifolds.positive import Positive
from manifold_opt.manifolds.power import PowerManifold
from manifold_opt.manifolds.pre_shape import PreShape
from manifold_opt.manifolds.probability_simplex import Multinomial, ProbabilitySimplex
from manifold_opt.manifolds.product import ProductManifold
from manifold_opt.manifolds.projective_space import ProjectiveSpace
from manifold_opt.manifolds.psd_fixed_rank import PSDFixedRank
from manifold_opt.manifolds.quaternion_poses import QuaternionPoses
from manifold_opt.manifolds.rotations import Rotations
from manifold_opt.manifolds.scaled import Scaled
from manifold_opt.manifolds.similarity import Similarity
from manifold_opt.manifolds.special_euclidean import SpecialEuclidean
from manifold_opt.manifolds.special_positive_definite import SpecialPositiveDefinite
from manifold_opt.manifolds.spectrahedron import Spectrahedron
from manifold_opt.manifolds.sphere import Sphere
from manifold_opt.manifolds.stiefel import Stiefel
from manifold_opt.manifolds.symmetric_positive_definite import SymmetricPositiveDefinite
from manifold_opt.manifolds.symplectic_stiefel import SymplecticStiefel
from manifold_opt.manifolds.tangent_bundle import TangentBundle
from manifold_opt.manifolds.tangent_space import TangentSpace
from manifold_opt.manifolds.tensor_train import TensorTrain
from manifold_opt.manifolds.torus import Circle, Torus
from manifold_opt.manifolds.tucker import Tucker
from manifold_opt.manifolds.unit_quaternions import UnitQuaternions
from manifold_opt.manifolds.unitary import Orthogonal, SpecialUnitary, Unitary
from manifold_opt.manifolds.validated import Validated

__all__ = [
    "ArraySphere",
    "Centered",
    "Circle",
    "ComplexCircle",
    "Correlation",
    "DoublyStochastic",
    "Elliptope",
    "Essential",
    "Euclidean",
    "FixedRank",
    "FixedRankFactors",
    "Flag",
    "GeneralizedGrassmann",
    "GeneralizedStiefel",
    "GeomstatsManifold",
    "Grassmann",
    "HalfSpace",
    "Hermitian",
    "HermitianPositiveDefinite",
    "Hyperbolic",
    "Hyperrectangle",
    "KendallShape",
    "Manifold",
    "MetricManifold",
    "MissingOperation",
    "Multinomial",
    "NotOnManifold",
    "NotTangent",
    "Oblique",
    "Orthogonal",
    "PSDFixedRank",
    "PoincareBall",
    "Positive",
    "PowerManifold",
    "PreShape",
    "ProbabilitySimplex",
    "ProductManifold",
    "ProjectiveSpace",
    "QuaternionPoses",
    "Rotations",
    "Scaled",
    "Similarity",
    "SkewSymmetric",
    "SpecialEuclidean",
    "SpecialPositiveDefinite",
    "SpecialUnitary",
    "Spectrahedron",
    "Sphere",
    "Stiefel",
    "Symmetric",
    "SymmetricPositiveDefinite",
    "SymplecticStiefel",
    "TangentBundle",
    "TangentSpace",
    "TensorTrain",
    "Torus",
    "Tucker",
    "UnitQuaternions",
    "Unitary",
    "Validated",
    "import_geomstats",
]
