"""Shared ground: a base model in plain transformers files, and an arm as that base with one adapter."""
