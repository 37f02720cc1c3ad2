"""Pose graphs: estimates of many poses from measurements of some relative to others."""

from .certificate import Certificate as Certificate
from .certificate import certificate_of as certificate_of
from .certificate import certify as certify
from .certificate import dual_matrix as dual_matrix
from .graph import InformationError as InformationError
from .graph import PoseGraph as PoseGraph
from .initialization import initial_poses as initial_poses
from .initialization import translations as translations
from .solve import PoseGraphResult as PoseGraphResult
from .solve import pose_graph_block as pose_graph_block
from .solve import pose_graph_costs as pose_graph_costs
from .solve import solve_pose_graph as solve_pose_graph
from .staircase import Relaxed as Relaxed
from .staircase import climb as climb
from .staircase import rounded as rounded
