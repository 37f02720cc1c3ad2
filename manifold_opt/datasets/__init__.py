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
from .poses import CameraPoses as CameraPoses
from .poses import camera_poses as camera_poses
