"""Ways to a host. Each is one class with ``call`` and ``close``."""
