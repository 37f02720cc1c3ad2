"""Real problems: readers of data that installed packages ship."""

from .cities import Cities as Cities
from .cities import cities as cities
from .connectomes import Connectomes as Connectomes
from .connectomes import connectomes as connectomes
from .files import BadFile as BadFile
from .g2o import read_g2o as read_g2o
from .g2o import write_g2o as write_g2o
from .poses import CameraPoses as CameraPoses
from .poses import camera_poses as camera_poses
