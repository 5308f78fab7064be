"""Room ``train``: a base, its earlier steps and one variant of a dataset give one adapter."""
