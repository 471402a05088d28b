"""Did we prepare the state? Records held against an exact target: tests, faults, bounds, maps and plans."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
