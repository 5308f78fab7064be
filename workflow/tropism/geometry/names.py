"""How the vectors that are added, and the conditions that they make, are called."""

UNSTEERED = "none"
CONTROL = "random "


def condition(source: str, strength: float) -> str:
    """The name of a target under ``source`` at ``strength``; of the target as it is, whatever the strength."""
    return source if source == UNSTEERED else f"{source}@{strength:g}"
