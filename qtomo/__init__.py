"""qtomo: which state are the qubits in? Simulate measurement records, learn them, judge the state.

The names of the front door, listed in `__init__.pyi`, are loaded when first used, so that `import qtomo` is quick.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
