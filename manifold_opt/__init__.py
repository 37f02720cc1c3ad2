"""Optimization and nonlinear least squares on manifolds, for people who use NumPy and SciPy.

The five ideas: a `Manifold` is where the unknown lives, an objective what is minimized there, a `Problem` both
together, a state all that changes while a solver runs, and `solve` the loop that steps a state until its stopping
criterion fires. Front functions such as `gradient_descent` and `levenberg_marquardt` set all of it up and return a
`Result`.

The public names are listed here, each under the room of the package that defines it, and are imported when first used:
importing the package costs nothing, however many manifolds and solvers there are.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0.dev0"

_NAMES = {
    "autodiff": "DerivativeWarning LostDerivative WrongDerivative",
    "checks": """
        CriticalPoint HessianSpectrum Profile check_differential check_gradient check_hessian
        check_inverse_retraction check_jacobian check_retraction check_transport critical_points
        extreme_eigenvalues hessian_matrix hessian_spectrum line_profile operator_matrix plane_profile
        tangent_basis_matrix
    """,
    "core": "Problem Result SolverState Status solve",
    "directions": """
        AMSGrad Adam AverageGradient BFGS Broyden Coefficient ConjugateDescentCoefficient
        ConjugateGradientBealeRestart DFP DaiYuanCoefficient Direction FletcherReevesCoefficient Gradient
        HagerZhangCoefficient HestenesStiefelCoefficient HybridCoefficient InverseBFGS InverseBroyden InverseDFP
        InverseSR1 LiuStoreyCoefficient MomentumGradient Nesterov NeverRestart PolakRibiereCoefficient
        PreconditionedDirection QuasiNewtonUpdate RestartCondition RestartOnNonDescent
        RestartOnNonSufficientDescent SR1 SteepestDescentCoefficient
    """,
    "decorators": """
        At CallbackState Checkpoint CheckpointError CheckpointState DebugState EntryChange Every IfEntry
        ProgressState RecordState SolverWarning WarnIfCostIncreases WarnIfCostNotFinite WarnIfFieldIncreases
        WarnIfFieldNotFinite WarnIfGradientNormTooLarge WarnIfGradientNotFinite WarnIfStepsizeCollapsed
        WarnMessages decorate recorded unwrap
    """,
    "manifolds": """
        ArraySphere Centered Circle ComplexCircle Correlation DoublyStochastic Elliptope Essential Euclidean
        FixedRank FixedRankFactors Flag GeneralizedGrassmann GeneralizedStiefel GeomstatsManifold Grassmann
        HalfSpace Hermitian HermitianPositiveDefinite Hyperbolic Hyperrectangle KendallShape Manifold
        MetricManifold MissingOperation Multinomial NotOnManifold NotTangent Oblique Orthogonal PSDFixedRank
        PoincareBall Positive PowerManifold PreShape ProbabilitySimplex ProductManifold ProjectiveSpace
        QuaternionPoses Rotations Scaled Similarity SkewSymmetric SpecialEuclidean SpecialPositiveDefinite
        SpecialUnitary Spectrahedron Sphere Stiefel Symmetric SymmetricPositiveDefinite SymplecticStiefel
        TangentBundle TangentSpace TensorTrain Torus Tucker UnitQuaternions Unitary Validated import_geomstats
    """,
    "objectives": """
        Arctan BatchedCostObjective BatchedLeastSquaresObjective BlockObjective CachedObjective Cauchy
        ComponentCostObjective ComposedLoss CostObjective CountedObjective CubicModelObjective Fused
        GemanMcClure GraduatedGemanMcClure GraduatedTruncated Huber InPlace LinearLoss Loss
        NonlinearLeastSquaresObjective ReducedObjective Reduction ResidualBlock ScaledLoss ScaledObjective
        SoftL1 StochasticObjective SymmetricLinearSystemObjective Tolerant Truncated TrustRegionModelObjective
        Tukey UserLoss Welsch fix
    """,
    "pose_graphs": "PoseGraph solve_pose_graph",
    "solvers": """
        AdachiOkunoTakeda AdaptiveRegularizationState AffineCovariantStepsize AlternatingGradientDescentState
        BFGSHessian ConjugateGradientDescentState ConjugateResidualState DoglegState ExactModelState
        FiniteDifferenceHessian FixedDamping GaussNewtonHessian GaussNewtonState GradientDescentState
        HessianApproximation IterativelyReweightedState LBfgsOptimizerResults LanczosState
        LevenbergMarquardtState ModelSolverState More NewtonState Nielsen PowellDogleg QuasiNewtonState
        StochasticGradientDescentState SubspaceDogleg SymmetricRankOneHessian TruncatedConjugateGradientState
        TrustRegionReflectiveState TrustRegionsState VectorBundleNewtonState adaptive_regularization_with_cubics
        alternating_gradient_descent bundle_adjust conjugate_gradient_descent conjugate_residual converged_all
        converged_any curve_fit dogleg gauss_newton gradient_descent graduated_non_convexity
        iteratively_reweighted lbfgs_minimize least_squares levenberg_marquardt minimize minimize_residuals
        newton quasi_newton stochastic_gradient_descent truncated_conjugate_gradient_descent
        trust_region_reflective trust_regions vectorbundle_newton
    """,
    "statistics": "FitStatistics SparseStatistics fit_statistics",
    "stepsizes": """
        AdaptiveWNGradient ArmijoLinesearch BarzilaiBorweinGuess ConstantGuess ConstantLength
        CubicBracketingLinesearch DecayingLength DecreasingLength DistanceOverGradients HagerZhangGuess
        HagerZhangLinesearch LastStepGuess NonmonotoneLinesearch Polyak StepSize StrongWolfeLinesearch
        WolfePowellBinaryLinesearch WolfePowellLinesearch
    """,
    "stopping": """
        ConvergenceTest GradientTest SolutionTest StopAfter StopAfterDimension StopAfterEvaluations
        StopAfterIteration StopWhenChangeLess StopWhenCostChangeLess StopWhenCostLess StopWhenCostNaN
        StopWhenCurvatureIsNegative StopWhenDecreaseLess StopWhenEntryChangeLess StopWhenFirstOrderProgress
        StopWhenGradientChangeLess StopWhenGradientNormLess StopWhenIterateNaN StopWhenModelIncreased
        StopWhenNoNegativeCurvature StopWhenOptimalityLess StopWhenRelativeCostChangeLess
        StopWhenRelativeGradientNormLess StopWhenRelativeOffsetLess StopWhenRelativeResidualLess
        StopWhenResidualIsReducedByFactorOrPower StopWhenSmallerOrEqual StopWhenStepNormLess
        StopWhenStepsizeLess StopWhenTrialStepLess StopWhenTrustRegionIsExceeded StoppingCriterion ValueTest
    """,
}
_ROOMS = ("autodiff", "checks", "datasets", "functions", "linalg", "pose_graphs", "testing")
_ROOM_OF = {name: room for room, names in _NAMES.items() for name in names.split()}

__all__ = sorted([*_ROOM_OF, *_ROOMS])

if TYPE_CHECKING:
    from . import autodiff, checks, datasets, functions, linalg, pose_graphs, testing
    from .autodiff import *
    from .checks import *
    from .core import *
    from .decorators import *
    from .directions import *
    from .manifolds import *
    from .objectives import *
    from .pose_graphs import PoseGraph, solve_pose_graph
    from .solvers import *
    from .statistics import *
    from .stepsizes import *
    from .stopping import *


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name in _ROOM_OF:
        value = getattr(import_module(f"{__name__}.{_ROOM_OF[name]}"), name)
    elif name in _ROOMS:
        value = import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Public names, imported or not."""
    return sorted({*globals(), *__all__})
