"""Training from positions alone: tuples, losses, the trainer, and runs that can be resumed.

Names are loaded on first use: the command line reads the settings without torch. `__init__.pyi` says where they are.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
