"""Learning by comparison: f-divergences, games of generator and critic, and what keeps a critic honest."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
