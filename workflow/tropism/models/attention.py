"""Which tokens a base's blocks look back to."""

from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer


def looks_all_the_way_back(cache: DynamicCache) -> bool:
    """Whether every block that ``cache`` was made for attends to all earlier tokens.

    The others (windows, chunks, recurrent states) keep a cache of their own kind. A mask that is made by hand would
    stand in for their own, and a cache of theirs cannot be put together from parts.
    """
    return all(type(layer) is DynamicLayer for layer in cache.layers)


def full_attention(model: PreTrainedModel) -> bool:
    """Whether every block of ``model`` attends to all earlier tokens."""
    return looks_all_the_way_back(DynamicCache(config=model.config))
