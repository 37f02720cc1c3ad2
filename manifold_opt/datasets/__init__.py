"""Real problems: readers of data that installed packages ship."""

from .bundle_files import read_bal as read_bal
from .bundle_files import read_bundler as read_bundler
from .bundle_files import read_libmv as read_libmv
from .bundle_files import write_bal as write_bal
from .bundle_files import write_bundler as write_bundler
from .bundle_files import write_libmv as write_libmv
from .bundle_scenes import BundleScene as BundleScene
from .bundle_scenes import bundle_scene as bundle_scene
from .cities import Cities as Cities
from .cities import cities as cities
from .connectomes import Connectomes as Connectomes
from .connectomes import connectomes as connectomes
from .files import BadFile as BadFile
from .g2o import read_g2o as read_g2o
from .g2o import write_g2o as write_g2o
from .hands import Hands as Hands
from .hands import hands as hands
from .pose_graphs import city_graph as city_graph
from .pose_graphs import grid_graph as grid_graph
from .pose_graphs import measured_graph as measured_graph
from .pose_graphs import ring_graph as ring_graph
from .pose_graphs import sphere_graph as sphere_graph
from .pose_graphs import torus_graph as torus_graph
from .poses import CameraPoses as CameraPoses
from .poses import camera_poses as camera_poses
