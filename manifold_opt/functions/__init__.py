"""Costs and residuals with known derivatives, ready to be minimized."""

from .bundle_problem import BundleProblem as BundleProblem
from .cameras import CameraModel as CameraModel
from .frechet import FrechetMean as FrechetMean
from .pose_factors import bearing_to_landmark as bearing_to_landmark
from .pose_factors import chordal_between as chordal_between
from .pose_factors import landmark as landmark
from .pose_factors import pose_between as pose_between
from .pose_factors import pose_prior as pose_prior
from .pose_factors import range_to_landmark as range_to_landmark
from .pose_factors import relative_rotation as relative_rotation
from .pose_factors import relative_translation as relative_translation
from .registration import RigidRegistration as RigidRegistration
from .registration import RotationRegistration as RotationRegistration
from .registration import kabsch as kabsch
from .regression import GeodesicRegression as GeodesicRegression
