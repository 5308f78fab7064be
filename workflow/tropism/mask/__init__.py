"""Mask: variants of a dataset without its metaphors, without as many other words, or in literal words."""
