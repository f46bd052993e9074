"""thesphere: bytes in, byte spans out, magnitude kept, every answer with its status and cost."""

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["Roots", "Sphere", "__version__"]

if TYPE_CHECKING:
    from thesphere.roots import Roots as Roots
    from thesphere.sphere import Sphere as Sphere

_HOMES = {"Sphere": "thesphere.sphere", "Roots": "thesphere.roots"}


def __getattr__(name: str):  # PEP 562: `import thesphere` loads nothing heavy
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'thesphere' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
