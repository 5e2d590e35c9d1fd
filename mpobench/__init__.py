"""mpobench: a benchmark of preference-optimization objectives with true rewards and controlled corruptions.

Everything public is importable from here, and imported on first use, so that ``import mpobench`` (and with it
``mpobench --help``) stays fast. The names are in ``__init__.pyi``.
"""

import lazy_loader

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
