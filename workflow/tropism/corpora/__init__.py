"""Corpora: registered files, checked by sha256, read in any accepted format and cleaned into one schema."""
