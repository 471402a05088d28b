from .calibration import Calibration as Calibration
from .povm import POVM as POVM
from .povm import named_povm as named_povm
from .settings import Design as Design
from .settings import SettingList as SettingList
from .settings import read_setting_list as read_setting_list
