"""What all settings have in common: unknown keys are refused, and a refusal names the key and the fix."""

import difflib
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

NAME_PATTERN = r"[A-Za-z0-9_]+(?:-[A-Za-z0-9_]+)*"
Name = Annotated[str, StringConstraints(pattern=rf"^{NAME_PATTERN}$")]
WORD_PATTERN = r"[A-Za-z0-9_]+"
Word = Annotated[str, StringConstraints(pattern=rf"^{WORD_PATTERN}$")]

_ALLOWED = {
    NAME_PATTERN: "letters, digits and `_`, with single `-` between them",
    WORD_PATTERN: "letters, digits and `_` (no `-`, which joins words in names of files)",
}


class ConfigError(ValueError):
    """Settings that a person has to mend."""


class Strict(BaseModel):
    """Immutable settings without unknown keys; no number is infinite or NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @classmethod
    def parse(cls, settings: str | dict[str, Any], where: str = "config") -> Self:
        """Settings from JSON text or a dictionary.

        Raises:
            ConfigError: naming each wrong key, what was wrong and, for a misspelt one, the likely right one.
        """
        try:
            if isinstance(settings, str):
                return cls.model_validate_json(settings)
            return cls.model_validate(settings)
        except ValidationError as error:
            raise ConfigError("\n".join(_explain(cls, item, where) for item in error.errors())) from None


def _explain(model: type[BaseModel], item: Any, where: str) -> str:
    key = ".".join(map(str, item["loc"]))
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        known = _fields_at(model, item["loc"][:-1])
        near = difflib.get_close_matches(str(item["loc"][-1]), known, n=1)
        message = "unknown key" + (f"; did you mean `{near[0]}`?" if near else f"; known: {', '.join(known)}")
    elif item["type"] == "missing":
        message = "is missing"
    elif item["type"] == "string_pattern_mismatch":
        pattern = item["ctx"]["pattern"]
        allowed = _ALLOWED.get(pattern.strip("^$"), f"what `{pattern}` matches")
        message = f"must be {allowed}, got {item['input']!r}"
    elif item["type"] not in ("value_error",):
        message = f"{message}, got {item['input']!r}"
    if message.startswith(f"{where}: "):  # of a check that names the whole place itself
        return message
    return f"{where}: {key}: {message}" if key else f"{where}: {message}"


def _fields_at(model: Any, location: tuple[Any, ...]) -> list[str]:
    """The keys allowed at ``location``, following containers of models."""
    for part in location:
        if isinstance(model, type) and issubclass(model, BaseModel):
            if part not in model.model_fields:
                return []
            model = model.model_fields[part].annotation
        else:
            arguments = getattr(model, "__args__", ())
            model = arguments[-1] if arguments else None
        while not isinstance(model, type) and getattr(model, "__origin__", None) not in (dict, list, tuple):
            options = [a for a in getattr(model, "__args__", ()) if a is not type(None)]
            if not options:
                return []
            model = options[0]
    return sorted(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []
