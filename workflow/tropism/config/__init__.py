"""Shared ground: the typed settings, one module a slice, so that a room depends on its own slice alone."""
