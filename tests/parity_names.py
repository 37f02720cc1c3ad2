"""The names of Manopt.jl, pymanopt and MATLAB Manopt, and what they are called here.

`python tests/parity_names.py` writes the page; `test_parity_names.py` keeps it true: every name in backticks in a
column "here" must exist, keywords included, and what is said to be missing must be missing. Defaults on our side are
read from the code. Those of the others are of Manopt.jl 0.5.34, pymanopt 2.2.1 and Manopt 8.0.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any, NamedTuple

import manifold_opt as mo

PAGE = Path(__file__).parent.parent / "docs" / "parity.md"


class Row(NamedTuple):
    """One name of theirs.

    Attributes
    ----------
    there : str
    here : str
        Ours, names in backticks; empty where there is none.
    note : str
        What differs, or why there is none.
    absent : str
        The name under which it would be looked for here, and must not be found.
    """

    there: str
    here: str
    note: str = ""
    absent: str = ""


def missing(there: str, absent: str, why: str) -> Row:
    return Row(there, "", why, absent)


class Default(NamedTuple):
    """A default that differs: whose, of what, theirs, and where ours is read."""

    name: str
    what: str
    there: str
    here: str


CONSTRAINED = "costs with constraints: not here yet; bounds of flat coordinates are in `least_squares`"
NONSMOOTH = "nonsmooth costs: not here yet"
SEARCH = "no derivatives at all: not here yet; `minimize` differentiates by differences"

MANOPT_SOLVERS = [
    Row("gradient_descent", "`gradient_descent`"),
    Row("conjugate_gradient_descent", "`conjugate_gradient_descent`"),
    Row("quasi_Newton", "`quasi_newton`", "memory and full matrix"),
    Row("trust_regions", "`trust_regions`"),
    Row("truncated_conjugate_gradient_descent", "`truncated_conjugate_gradient_descent`"),
    Row("adaptive_regularization_with_cubics", "`adaptive_regularization_with_cubics`"),
    Row("LanczosState", "`LanczosState`", "also a subsolver of trust regions"),
    Row("conjugate_residual", "`conjugate_residual`"),
    Row("LevenbergMarquardt", "`levenberg_marquardt`", "row by row in [least squares](parity_least_squares.md)"),
    Row("vectorbundle_newton", "`vectorbundle_newton`"),
    Row("alternating_gradient_descent", "`alternating_gradient_descent`"),
    Row("stochastic_gradient_descent", "`stochastic_gradient_descent`", "with minibatches, Adam, AMSGrad, SVRG"),
    Row("solver! (in place)", "`gradient_descent(out=)` and of all solvers", "the point given is left alone otherwise"),
    missing("Frank_Wolfe_method", "frank_wolfe_method", CONSTRAINED),
    missing("augmented_Lagrangian_method", "augmented_lagrangian_method", CONSTRAINED),
    missing("exact_penalty_method", "exact_penalty_method", CONSTRAINED),
    missing("interior_point_Newton", "interior_point_newton", CONSTRAINED),
    missing("projected_gradient_method", "projected_gradient_method", CONSTRAINED),
    missing("subgradient_method", "subgradient_method", NONSMOOTH),
    missing("proximal_point", "proximal_point", NONSMOOTH),
    missing("cyclic_proximal_point", "cyclic_proximal_point", NONSMOOTH),
    missing("proximal_gradient_method", "proximal_gradient_method", NONSMOOTH),
    missing("DouglasRachford", "douglas_rachford", NONSMOOTH),
    missing("ChambollePock", "chambolle_pock", NONSMOOTH),
    missing("primal_dual_semismooth_Newton", "primal_dual_semismooth_newton", NONSMOOTH),
    missing("convex_bundle_method", "convex_bundle_method", NONSMOOTH),
    missing("proximal_bundle_method", "proximal_bundle_method", NONSMOOTH),
    missing("difference_of_convex_algorithm", "difference_of_convex_algorithm", NONSMOOTH),
    missing("difference_of_convex_proximal_point", "difference_of_convex_proximal_point", NONSMOOTH),
    missing("NelderMead", "nelder_mead", SEARCH),
    missing("particle_swarm", "particle_swarm", SEARCH),
    missing("cma_es", "cma_es", SEARCH),
    missing("mesh_adaptive_direct_search", "mesh_adaptive_direct_search", SEARCH),
]

MANOPT_STEPS = [
    Row("ConstantLength", "`ConstantLength`"),
    Row("DecreasingLength", "`DecreasingLength`"),
    Row("ArmijoLinesearch", "`ArmijoLinesearch`"),
    Row("NonmonotoneLinesearch", "`NonmonotoneLinesearch`"),
    Row("WolfePowellLinesearch", "`WolfePowellLinesearch`"),
    Row("WolfePowellBinaryLinesearch", "`WolfePowellBinaryLinesearch`", "goes on past the first backtrack"),
    Row("CubicBracketingLinesearch", "`CubicBracketingLinesearch`"),
    Row("HagerZhangLinesearch", "`HagerZhangLinesearch`"),
    Row("AdaptiveWNGradient", "`AdaptiveWNGradient`", "its adaptive branch is reached"),
    Row("DistanceOverGradients", "`DistanceOverGradients`"),
    Row("Polyak", "`Polyak`"),
    Row("AffineCovariantStepsize", "`AffineCovariantStepsize`", "the default of `vectorbundle_newton`"),
    Row("LineSearchesStepsize", "`StrongWolfeLinesearch`, `HagerZhangLinesearch`", "a wrapper of a package of Julia"),
    Row("ConstantInitialGuess", "`ConstantGuess`"),
    Row("ArmijoInitialGuess", "`LastStepGuess`"),
    Row("HagerZhangInitialGuess", "`HagerZhangGuess`"),
    missing("ProximalGradientMethodBacktracking", "ProximalGradientMethodBacktracking", NONSMOOTH),
    missing("DomainBackTracking, NullStepBackTracking", "DomainBackTracking", NONSMOOTH),
    missing("interior_point_initial_guess", "InteriorPointGuess", CONSTRAINED),
    Row("max_stepsize", "`Manifold.max_step`"),
]

MANOPT_DIRECTIONS = [
    Row("Gradient", "`Gradient`"),
    Row("MomentumGradient", "`MomentumGradient`"),
    Row("AverageGradient", "`AverageGradient`"),
    Row("Nesterov", "`Nesterov`"),
    Row("PreconditionedDirection", "`PreconditionedDirection`"),
    Row("StochasticGradient", "`stochastic_gradient_descent(batch_size=)`", "what that solver does without a rule"),
    Row("AlternatingGradient", "`alternating_gradient_descent`", "what that solver does"),
    Row("SteepestDescentCoefficient", "`SteepestDescentCoefficient`"),
    Row("ConjugateDescentCoefficient", "`ConjugateDescentCoefficient`"),
    Row("DaiYuanCoefficient", "`DaiYuanCoefficient`"),
    Row("FletcherReevesCoefficient", "`FletcherReevesCoefficient`"),
    Row("HagerZhangCoefficient", "`HagerZhangCoefficient`"),
    Row("HestenesStiefelCoefficient", "`HestenesStiefelCoefficient`"),
    Row("LiuStoreyCoefficient", "`LiuStoreyCoefficient`"),
    Row("PolakRibiereCoefficient", "`PolakRibiereCoefficient`"),
    Row("HybridCoefficient", "`HybridCoefficient`"),
    Row("ConjugateGradientBealeRestart", "`ConjugateGradientBealeRestart`"),
    Row("NeverRestart", "`NeverRestart`"),
    Row("RestartOnNonDescent", "`RestartOnNonDescent`"),
    Row("RestartOnNonSufficientDescent", "`RestartOnNonSufficientDescent`"),
    Row("BFGS, InverseBFGS", "`BFGS`, `InverseBFGS`"),
    Row("DFP, InverseDFP", "`DFP`, `InverseDFP`"),
    Row("SR1, InverseSR1", "`SR1`, `InverseSR1`"),
    Row("Broyden, InverseBroyden", "`Broyden`, `InverseBroyden`"),
    Row("Broyden(φ, :Davidon), (φ, :InverseDavidon)", '`Broyden(phi="davidon")`, `InverseBroyden(phi="davidon")`'),
    Row("cautious_update, cautious_function", "`quasi_newton(cautious=)`", "True or the function"),
    Row("nondescent_direction_behavior", "`quasi_newton(nondescent=)`", "`reset` or `steepest`; of the solver, too"),
    Row("nonpositive_curvature_behavior", "", "such pairs are always dropped"),
    Row("ApproxHessianFiniteDifference", "`FiniteDifferenceHessian`"),
    Row("ApproxHessianSymmetricRankOne", "`SymmetricRankOneHessian`"),
    Row("ApproxHessianBFGS", "`BFGSHessian`"),
]

MANOPT_STOPPING = [
    Row("`a & b`, StopWhenAll", "`StoppingCriterion.__and__`"),
    Row("`a | b`, StopWhenAny", "`StoppingCriterion.__or__`", "all parts are asked; a converging one wins"),
    Row("`a × n`, StopWhenRepeated", "`StoppingCriterion.repeated`"),
    Row(
        "`a ⩼ n`, `a ≟ n`, `a ⩻ n`",
        "`StoppingCriterion.after`, `StoppingCriterion.at`, `StoppingCriterion.before`",
    ),
    Row("StopAfter", "`StopAfter`", "`max_time=`"),
    Row("StopAfterIteration", "`StopAfterIteration`", "`max_iterations=`"),
    Row("StopWhenChangeLess", "`StopWhenChangeLess`"),
    Row("StopWhenCostChangeLess", "`StopWhenCostChangeLess`"),
    Row("StopWhenCostLess", "`StopWhenCostLess`"),
    Row(
        "StopWhenCostNaN, StopWhenIterateNaN", "`StopWhenCostNaN`, `StopWhenIterateNaN`", "never needed: NaN is no step"
    ),
    Row("StopWhenEntryChangeLess", "`StopWhenEntryChangeLess`"),
    Row("StopWhenGradientChangeLess", "`StopWhenGradientChangeLess`"),
    Row("StopWhenGradientNormLess", "`StopWhenGradientNormLess`", "`tolerance=`; sees the current gradient"),
    Row("StopWhenStepsizeLess", "`StopWhenStepsizeLess`"),
    Row("StopWhenSmallerOrEqual", "`StopWhenSmallerOrEqual`"),
    Row("StopWhenResidualIsReducedByFactorOrPower", "`StopWhenResidualIsReducedByFactorOrPower`"),
    Row("StopWhenTrustRegionIsExceeded", "`StopWhenTrustRegionIsExceeded`"),
    Row("StopWhenCurvatureIsNegative", "`StopWhenCurvatureIsNegative`"),
    Row("StopWhenModelIncreased", "`StopWhenModelIncreased`"),
    Row("StopWhenFirstOrderProgress", "`StopWhenFirstOrderProgress`"),
    Row("StopWhenAllLanczosVectorsUsed", "`StopAfterIteration`, `StopAfterDimension`", "of the subsolver"),
    Row("StopWhenRelativeResidualLess", "`StopWhenRelativeResidualLess`"),
    missing("StopWhenSubgradientNormLess", "StopWhenSubgradientNormLess", NONSMOOTH),
    missing("StopWhenLagrangeMultiplierLess", "StopWhenLagrangeMultiplierLess", NONSMOOTH),
    missing("StopWhenGradientMappingNormLess", "StopWhenGradientMappingNormLess", NONSMOOTH),
    missing("StopWhenKKTResidualLess", "StopWhenKKTResidualLess", CONSTRAINED),
    missing("StopWhenProjectedGradientStationary", "StopWhenProjectedGradientStationary", CONSTRAINED),
    missing("StopWhenPopulationConcentrated", "StopWhenPopulationConcentrated", SEARCH),
    missing("StopWhenSwarmVelocityLess", "StopWhenSwarmVelocityLess", SEARCH),
    missing("StopWhenPollSizeLess", "StopWhenPollSizeLess", SEARCH),
    missing("six criteria of CMA-ES", "StopWhenCovarianceIllConditioned", SEARCH),
    Row("indicates_convergence, has_converged", "`StoppingCriterion.indicates_convergence`, `Result.converged`"),
    Row("get_reason", "`Result.message`", "of the criterion that fired, never a stale one"),
]

MANOPT_REST = [
    Row("DefaultManoptProblem", "`Problem`"),
    Row("TwoManifoldProblem, ConstrainedManoptProblem", "", "for solvers that are not here yet"),
    Row("VectorBundleManoptProblem", "`vectorbundle_newton`", "takes the equation itself"),
    Row("ManifoldCostObjective, ManifoldFirstOrderObjective, ManifoldHessianObjective", "`CostObjective`"),
    Row("ManifoldStochasticGradientObjective", "`StochasticObjective`"),
    Row("ManifoldAlternatingGradientObjective", "`ComponentCostObjective`"),
    Row("NonlinearLeastSquaresObjective", "`NonlinearLeastSquaresObjective`"),
    Row("SymmetricLinearSystemObjective", "`SymmetricLinearSystemObjective`"),
    Row("TrustRegionModelObjective", "`TrustRegionModelObjective`"),
    Row("AdaptiveRegularizationWithCubicsModelObjective", "`CubicModelObjective`"),
    Row("objectives with constraints, subgradients, proximal maps", "", "for solvers that are not here yet"),
    Row("AllocatingEvaluation, InplaceEvaluation", "`InPlace`", "a function without it returns its value"),
    Row("cost and gradient in one function", "`Fused`"),
    Row("differential=", "", "slopes come from the gradient"),
    Row("objective_type=:Euclidean", '`gradient_descent(objective_type="euclidean")`'),
    Row("count=", "`Result.evaluations`", "counted always"),
    Row("CountObjective", "`CountedObjective`"),
    Row(
        "cache=:Simple, cache=:LRU",
        "`gradient_descent(cache=)`, `CachedObjective`",
        "nothing is evaluated twice at a point anyway",
    ),
    Row("s * objective, -objective", "`ScaledObjective`"),
    Row("return_state, return_objective", "`Result.state`, `Result.problem`", "always a `Result`"),
    Row("get_solver_result, get_iterate, get_gradient", "`Result.point`, `SolverState.evaluation`"),
    Row(
        "initialize_solver!, step_solver!, stop_solver!",
        "`SolverState.begin`, `SolverState.step`, `SolverState.should_stop`",
    ),
    Row("solve!", "`solve`"),
    Row("sub_problem, sub_state, sub_kwargs", "`trust_regions(subsolver=)`"),
    Row(
        "DebugSolverState, debug=",
        "`DebugState`, `gradient_descent(debug=)`",
        "every symbol in [watching](watching.md)",
    ),
    Row("RecordSolverState, record=", "`RecordState`, `gradient_descent(record=)`"),
    Row("callback=", "`gradient_descent(callback=)`", "may stop the run"),
    Row("DebugEvery, DebugEntryChange, DebugIfEntry", "`Every`, `EntryChange`, `IfEntry`"),
    Row(
        "DebugWarnIfCostIncreases",
        "`WarnIfCostIncreases`",
        "not on by default: it takes no evaluation, and no step of ours needs it",
    ),
    Row("DebugWarnIfCostNotFinite, DebugWarnIfFieldNotFinite", "`WarnIfCostNotFinite`, `WarnIfFieldNotFinite`"),
    Row("DebugWarnIfGradientNormTooLarge", "`WarnIfGradientNormTooLarge`"),
    Row("DebugWarnIfStepsizeCollapsed", "`WarnIfStepsizeCollapsed`"),
    Row("DebugWarnIfLagrangeMultiplierIncreases", "`WarnIfFieldIncreases`"),
    Row("DebugMessages", "`WarnMessages`"),
    Row("check_gradient, check_differential, check_Hessian", "`check_gradient`, `check_differential`, `check_hessian`"),
    Row("set_parameter!, get_parameter", "", "fields of the state are read and set by name"),
    Row("ManifoldDefaultsFactory", "", "rules are values that know neither manifold nor point"),
    Row("Manopt.Test", "`testing`"),
    Row("JuMP_Optimizer", "", "no modelling language; removed there, too"),
    Row("asymptote_export_S2_signals and others", "", "pictures of signals are no matter of optimization"),
]

PYMANOPT = [
    Row("Problem", "`Problem`, `CostObjective`"),
    Row("function.autograd, .jax, .pytorch, .numpy", "`gradient_descent(autodiff=)`", "plain functions, no decorator"),
    Row("function.tensorflow", "", "no back end for TensorFlow; JAX, PyTorch, autograd and differences"),
    Row("euclidean_gradient, riemannian_gradient", "`gradient_descent(gradient=, objective_type=)`"),
    Row("euclidean_hessian, riemannian_hessian", "`trust_regions(hessian=, objective_type=)`"),
    Row("preconditioner", "`CostObjective(preconditioner=)`", "of steepest descent: `PreconditionedDirection`"),
    Row("optimizers.SteepestDescent", "`gradient_descent`"),
    Row("optimizers.ConjugateGradient", "`conjugate_gradient_descent`"),
    Row("beta_rule", "`conjugate_gradient_descent(coefficient=)`"),
    Row("orth_value", "`ConjugateGradientBealeRestart`"),
    Row("optimizers.TrustRegions", "`trust_regions`", "works without a Hessian, too"),
    Row("use_rand", "`trust_regions(randomize=)`"),
    Row("optimizers.NelderMead", "", SEARCH, "nelder_mead"),
    Row("optimizers.ParticleSwarm", "", SEARCH, "particle_swarm"),
    Row("BackTrackingLineSearcher", "`ArmijoLinesearch`"),
    Row("AdaptiveLineSearcher", '`ArmijoLinesearch(initial_guess="last")`'),
    Row("OptimizerResult", "`Result`"),
    Row("max_iterations, max_time", "`gradient_descent(max_iterations=, max_time=)`"),
    Row("min_gradient_norm", "`gradient_descent(tolerance=)`"),
    Row("min_step_size", "`StopWhenStepsizeLess`"),
    Row("max_cost_evaluations", "`gradient_descent(max_evaluations=)`", "has no effect there"),
    Row("verbosity, log_verbosity", "`gradient_descent(debug=, record=)`", "silent by default"),
    Row("reuse_line_searcher", "`SolverState.begin`", "solving a state again keeps all memory"),
    Row("tools.diagnostics.check_gradient, check_hessian", "`check_gradient`, `check_hessian`", "return numbers"),
    Row("tools.diagnostics.check_directional_derivative", "`check_differential`"),
    Row("tools.diagnostics.check_retraction", "`checks.check_retraction`"),
    Row("tools.diagnostics.identify_linear_piece", "`checks.SlopeCheck`"),
    Row("tools.multi (multitransp, multisym, multiexpm, ...)", "`linalg`", "every operation takes leading axes"),
    Row("tools.testing", "`testing`"),
]

PYMANOPT_MANIFOLDS = [
    Row("Euclidean, ComplexEuclidean", '`Euclidean(field="complex")`'),
    Row("Symmetric, SkewSymmetric", "`Symmetric`, `SkewSymmetric`"),
    Row("Sphere", "`Sphere`, `ArraySphere`", "of dimension n, in n + 1 numbers"),
    Row("SphereSubspaceIntersection, SphereSubspaceComplementIntersection", "", "use coordinates of the subspace"),
    Row("Oblique", "`Oblique`"),
    Row("ComplexCircle", "`ComplexCircle`"),
    Row("Stiefel(n, p, k=)", "`Stiefel`, `PowerManifold`"),
    Row("Grassmann, ComplexGrassmann", '`Grassmann(field="complex")`'),
    Row(
        "SpecialOrthogonalGroup(n, k=)", "`Rotations`, `PowerManifold`", "distances are angles unless `metric_scale=1`"
    ),
    Row("UnitaryGroup", "`Unitary`"),
    Row("SymmetricPositiveDefinite", "`SymmetricPositiveDefinite`"),
    Row("HermitianPositiveDefinite", "`HermitianPositiveDefinite`"),
    Row("SpecialHermitianPositiveDefinite", '`SpecialPositiveDefinite(field="complex")`'),
    Row("PSDFixedRank, PSDFixedRankComplex", '`PSDFixedRank(field="complex")`'),
    Row("Elliptope", "`Elliptope`"),
    Row("Positive", "`Positive`"),
    Row("PoincareBall", "`PoincareBall`"),
    Row("FixedRankEmbedded", "`FixedRank`"),
    Row("Product", "`ProductManifold`", "a point is one array"),
]

MATLAB = [
    Row("manoptsolve", "`minimize`"),
    Row("steepestdescent", "`gradient_descent`"),
    Row("conjugategradient", "`conjugate_gradient_descent`"),
    Row("beta_type: steep, F-R, P-R, H-S, H-Z, L-S", "`conjugate_gradient_descent(coefficient=)`"),
    Row(
        "beta_type: P-R-SATO, H-S-SATO",
        "`PolakRibiereCoefficient`, `HestenesStiefelCoefficient`",
        "denominators as Sato has them",
    ),
    Row("orth_value", "`ConjugateGradientBealeRestart`"),
    Row("barzilaiborwein", "`gradient_descent(stepsize=)` with `NonmonotoneLinesearch`"),
    Row("rlbfgs", "`quasi_newton`"),
    Row("trustregions", "`trust_regions`"),
    Row("trs_tCG, trs_tCG_cached", "`TruncatedConjugateGradientState`", "cached always"),
    Row("trs_lanczos", "`LanczosState`"),
    Row("trs_gep", "`ExactModelState`"),
    Row("trustregions_randomized, trs_tCG_randomized", "`trust_regions(randomize=)`"),
    Row("arc, arc_lanczos", "`adaptive_regularization_with_cubics`"),
    Row(
        "arc_conjugate_gradient, arc_gradient_descent",
        "`adaptive_regularization_with_cubics(subsolver=)`",
        "any solver",
    ),
    Row("stochasticgradient", "`stochastic_gradient_descent`"),
    Row("stepsize_sg: fixed, decay, hybrid", "`ConstantLength`, `DecayingLength`"),
    Row("pso", "", SEARCH, "particle_swarm"),
    Row("neldermead", "", SEARCH, "nelder_mead"),
    Row("linesearch, linesearch_adaptive", "`ArmijoLinesearch`"),
    Row("linesearch_constant, linesearch_decrease", "`ConstantLength`, `DecreasingLength`"),
    Row("linesearch_hint", "`ConstantGuess`"),
    Row("problem.cost, .egrad, .grad, .ehess, .hess", "`CostObjective`"),
    Row("problem.costgrad", "`Fused`"),
    Row("problem.precon", "`CostObjective(preconditioner=)`"),
    Row("problem.sqrtprecon", "", "tCG from a random start takes no preconditioner instead"),
    Row("problem.partialgrad", "`StochasticObjective`"),
    Row("problem.subgrad", "", NONSMOOTH, "subgradient_method"),
    Row("manoptAD", "`gradient_descent(autodiff=)`"),
    Row("approxgradientFD, approxhessianFD", "automatic", "differences where a function cannot be traced"),
    Row("StoreDB", "`SolverState.evaluation`", "what is known at a point; a user's own store is a closure"),
    Row("statsfun, statsfunhelper", "`gradient_descent(record=, callback=)`"),
    Row("statscounters, incrementcounter", "`Result.evaluations`"),
    Row("options.hook", "", "an iterate cannot be replaced behind a solver's back; step a state by hand instead"),
    Row("stopfun, stopifclosedfigure, stopifdeletedfile", "`gradient_descent(callback=)`", "and Ctrl-C"),
    Row(
        "tolcost, tolgradnorm, minstepsize, maxtime, maxiter",
        "`StopWhenCostLess`, `StopWhenGradientNormLess`, `StopWhenStepsizeLess`",
    ),
    Row("miniter", "`StoppingCriterion.after`"),
    Row("checkdiff, checkgradient, checkhessian", "`check_differential`, `check_gradient`, `check_hessian`"),
    Row("checkmanifold", "`testing.check_manifold`"),
    Row("checkretraction, checkinverseretraction", "`checks.check_retraction`, `checks.check_inverse_retraction`"),
    Row("offmanifold, offtangent", "`Manifold.check_point`, `Manifold.check_vector`"),
    Row("hessianspectrum, hessianextreme", "`hessian_spectrum`, `extreme_eigenvalues`"),
    Row("hessianmatrix, operator2matrix", "`hessian_matrix`, `operator_matrix`"),
    Row("criticalpointfinder", "`critical_points`", "by `newton` from many starts"),
    Row("plotprofile, surfprofile", "`line_profile`, `plane_profile`"),
    Row("tangentorthobasis, orthogonalize", "`tangent_basis_matrix`, `Manifold.get_basis`"),
    Row("tangent2vec, vec2tangent, lincomb", "`Manifold.get_coordinates`, `Manifold.get_vector`"),
    Row("grammatrix", "`Manifold.inner`", "takes stacks of vectors"),
    Row("smallestinconvexhull", "", NONSMOOTH, "convex_bundle_method"),
    Row("identify_linear_piece", "`checks.SlopeCheck`"),
    Row("dexpm, dlogm, dsqrtm, dfunm", "`linalg`", "matrix functions have derivative rules"),
    Row("multiprod, multitransp, multisqnorm", "`linalg`", "every operation takes leading axes"),
    Row("replacesparseentries, sparseentries, spmaskmult", "`FixedRank.entries`"),
    Row("manoptlift, hadamardlift, burermonteirolift and others", "", "no lifts"),
]

MATLAB_MANIFOLDS = [
    Row("euclideanfactory, euclideancomplexfactory", '`Euclidean(field="complex")`'),
    Row("euclideansubspacefactory, euclideansparsefactory, constantfactory", "", "fix entries by `fix`"),
    Row("centeredmatrixfactory", "`Centered`"),
    Row("shapefitfactory", "", "no space for that one problem"),
    Row("symmetricfactory, skewsymmetricfactory", "`Symmetric`, `SkewSymmetric`"),
    Row("spherefactory, spherecomplexfactory", '`Sphere`, `ArraySphere(field="complex")`'),
    missing("spheresymmetricfactory", "SymmetricSphere", "not here yet"),
    Row("obliquefactory, obliquecomplexfactory", '`Oblique(field="complex")`'),
    Row("complexcirclefactory", "`ComplexCircle`"),
    Row("stiefelfactory, stiefelcomplexfactory", '`Stiefel(field="complex")`'),
    Row("stiefelstackedfactory", "`PowerManifold`"),
    Row("stiefelgeneralizedfactory", "`GeneralizedStiefel`"),
    Row("grassmanngeneralizedfactory", "`GeneralizedGrassmann`"),
    Row("essentialfactory", "`Essential`"),
    missing("realphasefactory", "RealPhases", "not here yet"),
    Row("grassmannfactory, grassmanncomplexfactory", '`Grassmann(field="complex")`'),
    Row("rotationsfactory, unitaryfactory", "`Rotations`, `Unitary`"),
    Row("specialeuclideanfactory", "`SpecialEuclidean`"),
    Row("sympositivedefinitefactory", "`SymmetricPositiveDefinite`"),
    Row("sympositivedefiniteBWfactory", '`SymmetricPositiveDefinite(metric="bures-wasserstein")`'),
    missing("sympositivedefinitesimplexfactory", "PositiveDefiniteSimplex", "not here yet"),
    Row("symfixedrankYYfactory, symfixedrankYYcomplexfactory", '`PSDFixedRank(field="complex")`'),
    Row("elliptopefactory, spectrahedronfactory", "`Elliptope`, `Spectrahedron`", "real and complex"),
    Row("fixedrankfactory_2factors, _3factors and variants", "`FixedRankFactors`", "two factors, preconditioned"),
    Row("fixedranktensorembeddedfactory, fixedrankfactory_tucker_preconditioned", "`Tucker`"),
    Row("fixedTTrankfactory", "`TensorTrain`"),
    Row("positivefactory", "`Positive`"),
    Row("multinomialfactory", "`Multinomial`, `ProbabilitySimplex`"),
    Row(
        "multinomialdoublystochasticfactory, multinomialsymmetricfactory",
        "`DoublyStochastic`",
    ),
    Row("hyperbolicfactory, poincareballfactory", "`Hyperbolic`, `PoincareBall`"),
    Row("fixedrankembeddedfactory", "`FixedRank`"),
    Row("productmanifold, powermanifold", "`ProductManifold`, `PowerManifold`"),
    Row("tangentspacefactory", "`TangentSpace`"),
    Row("tangentbundlefactory", "`TangentBundle`"),
    missing("tangentspherefactory", "TangentSphere", "not here yet"),
]

DEFAULTS_MANOPT = [
    Default("gradient_descent", "stopping", "200 iterations or gradient norm 1e-8", "GradientDescentState:stopping"),
    Default("gradient_descent", "stepsize", "ArmijoLinesearch", "GradientDescentState:stepsize"),
    Default("ArmijoLinesearch", "initial guess", "the last step", "ArmijoLinesearch:initial_guess"),
    Default("ArmijoLinesearch", "contraction", "0.95", "ArmijoLinesearch:contraction"),
    Default("ArmijoLinesearch", "sufficient decrease", "0.1", "ArmijoLinesearch:sufficient_decrease"),
    Default("ConstantLength", "length", "min(half the injectivity radius, 1)", "ConstantLength:length"),
    Default(
        "conjugate_gradient_descent", "stopping", "500 iterations or 1e-8", "ConjugateGradientDescentState:stopping"
    ),
    Default(
        "conjugate_gradient_descent",
        "coefficient",
        "ConjugateDescentCoefficient()",
        "ConjugateGradientDescentState:coefficient",
    ),
    Default("conjugate_gradient_descent", "restart", "NeverRestart()", "ConjugateGradientDescentState:restart"),
    Default("conjugate_gradient_descent", "stepsize", "ArmijoLinesearch", "ConjugateGradientDescentState:stepsize"),
    Default("quasi_Newton", "stopping", "max(1000, memory) iterations or 1e-6", "QuasiNewtonState:stopping"),
    Default("quasi_Newton", "memory", "min(dim, 20)", "QuasiNewtonState:memory"),
    Default("quasi_Newton", "stepsize", "WolfePowellLinesearch(stop at 1e-10)", "QuasiNewtonState:stepsize"),
    Default("trust_regions", "stopping", "1000 iterations or 1e-6", "TrustRegionsState:stopping"),
    Default("trust_regions", "max_trust_region_radius", "sqrt(dim)", "TrustRegionsState:max_trust_region_radius"),
    Default(
        "trust_regions", "trust_region_radius", "an eighth of the largest", "TrustRegionsState:trust_region_radius"
    ),
    Default("trust_regions", "reduction_threshold", "0.1", "TrustRegionsState:reduction_threshold"),
    Default("trust_regions", "reduction_factor", "0.25, of the radius", "TrustRegionsState:reduction_factor"),
    Default(
        "adaptive_regularization_with_cubics",
        "stopping",
        "40 iterations, 1e-9, or all Lanczos vectors used",
        "AdaptiveRegularizationState:stopping",
    ),
    Default("adaptive_regularization_with_cubics", "sigma", "100 / sqrt(dim)", "AdaptiveRegularizationState:sigma"),
    Default("conjugate_residual", "stopping", "dim iterations or 1e-8", "ConjugateResidualState:stopping"),
    Default(
        "LevenbergMarquardt",
        "stopping",
        "200 iterations, gradient norm 1e-12 or step 1e-12",
        "LevenbergMarquardtState:stopping",
    ),
    Default("LevenbergMarquardt", "damping", "of Adachi, Okuno and Takeda", "LevenbergMarquardtState:damping"),
    Default(
        "alternating_gradient_descent", "stopping", "100 iterations or 1e-9", "AlternatingGradientDescentState:stopping"
    ),
    Default(
        "stochastic_gradient_descent", "stopping", "10000 iterations or 1e-9", "StochasticGradientDescentState:stopping"
    ),
    Default("stochastic_gradient_descent", "order", "random, with replacement", "StochasticGradientDescentState:order"),
    Default(
        "stochastic_gradient_descent",
        "stepsize",
        "min(half the injectivity radius, 1)",
        "StochasticGradientDescentState:stepsize",
    ),
    Default("SR1", "r", "-1: no safeguard", "SR1:r"),
    Default("ApproxHessianSymmetricRankOne", "nu", "-1: no safeguard", "SymmetricRankOneHessian:nu"),
]

DEFAULTS_PYMANOPT = [
    Default("all optimizers", "tolerance of the gradient norm", "1e-6", "GradientDescentState:stopping"),
    Default(
        "SteepestDescent",
        "line search",
        "BackTrackingLineSearcher(0.5, optimism 2, 1e-4)",
        "GradientDescentState:stepsize",
    ),
    Default("ConjugateGradient", "beta_rule", "HestenesStiefel", "ConjugateGradientDescentState:coefficient"),
    Default(
        "ConjugateGradient", "line search", "AdaptiveLineSearcher(0.5, 0.5)", "ConjugateGradientDescentState:stepsize"
    ),
    Default("TrustRegions", "miniter", "3", "TrustRegionsState:stopping"),
    Default("TrustRegions", "Delta_bar", "typical distance", "TrustRegionsState:max_trust_region_radius"),
]

DEFAULTS_MATLAB = [
    Default("conjugategradient", "beta_type", "H-S", "ConjugateGradientDescentState:coefficient"),
    Default("rlbfgs", "memory", "30", "QuasiNewtonState:memory"),
    Default("rlbfgs", "cautious update", "1e-4 t", "QuasiNewtonState:cautious"),
    Default("trustregions", "Delta_bar", "typical distance or sqrt(dim)", "TrustRegionsState:max_trust_region_radius"),
    Default("trustregions", "stopping", "1000 iterations or 1e-6", "TrustRegionsState:stopping"),
    Default("arc", "subsolver", "conjugate gradients", "AdaptiveRegularizationState:subsolver"),
]

TABLES = {
    "Manopt.jl: solvers": MANOPT_SOLVERS,
    "Manopt.jl: step sizes": MANOPT_STEPS,
    "Manopt.jl: directions and updates": MANOPT_DIRECTIONS,
    "Manopt.jl: stopping criteria": MANOPT_STOPPING,
    "Manopt.jl: problems, states, tools": MANOPT_REST,
    "Manopt.jl: other defaults": DEFAULTS_MANOPT,
    "pymanopt": PYMANOPT,
    "pymanopt: manifolds": PYMANOPT_MANIFOLDS,
    "pymanopt: other defaults": DEFAULTS_PYMANOPT,
    "Manopt for MATLAB": MATLAB,
    "Manopt for MATLAB: manifolds": MATLAB_MANIFOLDS,
    "Manopt for MATLAB: other defaults": DEFAULTS_MATLAB,
}

HEAD = """# Names elsewhere

Every name of Manopt.jl 0.5, pymanopt 2.2 and Manopt 8.0 for MATLAB, what it is called here, and which defaults differ.
A dash says that there is no such thing here, and the note why. This page is written by
`python tests/parity_names.py`; a test checks that every name in the columns "here" exists, and reads our defaults from
the code.
"""


def rows() -> list[Row]:
    return [row for table in TABLES.values() for row in table if isinstance(row, Row)]


def defaults() -> list[Default]:
    return [row for table in TABLES.values() for row in table if isinstance(row, Default)]


def code(text: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]*)`", text)


def require(expression: str) -> None:
    """Raise unless a name such as ``solver(keyword=)`` or ``Class.attribute`` exists here."""
    name, _, keywords = expression.partition("(")
    thing: Any = mo
    for part in name.split("."):
        fields = getattr(thing, "__dataclass_fields__", {})
        annotations = getattr(thing, "__annotations__", {})
        if isinstance(thing, type) and not hasattr(thing, part) and (part in fields or part in annotations):
            return
        if isinstance(thing, type) and not hasattr(thing, part) and part in (inspect.getdoc(thing) or ""):
            return  # an attribute of the instances, documented as such
        thing = getattr(thing, part)
    for keyword in re.findall(r"(\w+)\s*=", keywords):
        known = set(inspect.signature(thing).parameters)
        if inspect.isfunction(thing):
            from manifold_opt.core.front import COMMON

            known |= COMMON
        if keyword not in known:
            raise AttributeError(f"{name} has no keyword {keyword}")


def ours(source: str) -> str:
    """Our default, from the code: ``Class:field``."""
    name, _, field = source.partition(":")
    thing = getattr(mo, name)
    if field in ("stopping", "stepsize") and hasattr(thing, f"default_{field}"):
        return f"`{getattr(thing, f'default_{field}')()!r}`"
    value = parameters(thing)[field].default
    return f"`{value!r}`" if value is not None else documented(thing, field)


def parameters(thing: Any) -> dict[str, inspect.Parameter]:
    """Parameters of a function or class, those of its bases included."""
    found = dict(inspect.signature(thing).parameters)
    if "keywords" in found:
        for base in thing.__mro__[1:-1]:
            found = {**inspect.signature(base).parameters, **found}
    return found


def documented(thing: Any, field: str) -> str:
    """What the text says of a default that is None."""
    text = inspect.getdoc(thing) or ""
    match = re.search(rf"^(?:\w+, )*{field}(?:, \w+)* :.*\n((?:    .*\n)+)", text, re.MULTILINE)
    if match is None:
        raise AttributeError(f"the text of {thing.__name__} has no parameter {field}")
    about = " ".join(match.group(1).split())
    default = re.search(r"\b[Dd]efault:? (.*?)(?:\.(?:\s|$)|$)", about)
    if default is None:
        raise AttributeError(f"the text of {thing.__name__} does not tell the default of {field}")
    return default.group(1).replace("``", "`")


def line(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, table in TABLES.items():
        lines = [f"## {title}", ""]
        if isinstance(table[0], Default):
            lines += [line("of", "what", "there", "here"), line(*["---"] * 4)]
            lines += [line(row.name, row.what, row.there, ours(row.here)) for row in table]
        else:
            lines += [line("there", "here", "note"), line(*["---"] * 3)]
            lines += [line(row.there, row.here or "–", row.note) for row in table]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
