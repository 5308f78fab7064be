"""Shared ground: the typed rows that pass between rooms, and the files that hold them."""
