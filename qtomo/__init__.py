"""qtomo: which state are the qubits in? Simulate measurement records, learn them, judge the state.

The names of the front door, listed in `__init__.pyi`, are loaded when first used, so that `import qtomo` is quick.
"""

import lazy_loader

from qtomo.version import __version__ as __version__

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
