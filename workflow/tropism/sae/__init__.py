"""Sparse features: a dictionary of the base's activations, responses in its terms, and what sets them apart."""
