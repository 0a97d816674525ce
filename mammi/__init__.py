"""MAMMI: neurons of medical vision models in words, without masks."""
from importlib import import_module

__version__ = "0.1.0"
__all__ = ["annotate"]


def __getattr__(name):
    # Lazy: ``import mammi`` costs nothing, ``from mammi import annotate`` needs NumPy and SciPy alone.
    if name == "annotate":
        return import_module("mammi.notebook").annotate
    raise AttributeError(f"module 'mammi' has no attribute '{name}'")
