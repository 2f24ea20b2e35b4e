"""The routes, a module for each group; each module has a ``router``, and ``prepare(parts)`` if it needs it."""
