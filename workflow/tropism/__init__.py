"""Tropism: how figurative language in training data turns a language model, and how far the turn spreads.

Each module or folder here is a room: one stage of the workflow, run as ``python -m tropism.<room>``. Rooms share only
``records`` (typed rows and their files), ``config`` (typed settings), ``models`` (a base and its adapters) and
``endpoint`` (chat servers).
"""
