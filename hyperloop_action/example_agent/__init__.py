"""An agent without a model, for `make demo` and for trying things out; see ``__main__.py``."""
