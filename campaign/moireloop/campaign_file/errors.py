"""What is wrong with a campaign file, as lines that a person can act on (pure)."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from moireloop_broker.problems import Problem, _last, nearest, shown, unknown_key

KINDS: Final = {
    "int_type": "an integer",
    "int_from_float": "an integer",
    "int_parsing_size": "an integer of ordinary size",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "a string",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}

LIMITS: Final = {
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "string_too_short": "a string of at least {min_length} characters",
    "string_too_long": "a string of at most {max_length} characters",
    "string_pattern_mismatch": "a string that matches {pattern}",
    "too_short": "at least {min_length} entries",
    "too_long": "at most {max_length} entries",
    "literal_error": "{expected}",
    "union_tag_invalid": "one of {expected_tags}",
}

MOST_LINES: Final = 5

MOST_LOOKED_AT: Final = 50
"""Errors that are put into our words; further ones are only counted."""

TOO_SHORT: Final = ("too_short", "too_long")

Location = tuple[int | str, ...]


@dataclass(frozen=True)
class Known:
    """A key that may stand in a file: what it means, and in which variants of its section (none: in any)."""

    meaning: str
    variants: frozenset[str] = frozenset()

    def joined(self, other: Known | None) -> Known:
        """This key and the same key in another variant; what both mean alike is kept."""
        if other is None:
            return self
        meaning = self.meaning if self.meaning == other.meaning else ""
        return Known(meaning, self.variants | other.variants)


def as_lines(file: str, problems: Sequence[Problem]) -> str:
    """The first problems of a file, MOST_LINES at most, each on a printable line, and how many more there are."""
    more = len(problems) - MOST_LINES
    lines = [f"{file}: {problem}" for problem in problems[:MOST_LINES]]
    if more > 0:
        lines[-1] += f" (and {more} more error{'s' if more > 1 else ''})"
    return "\n".join(map(_printable, lines))


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in " ".join(text.split()))


def problems_of(errors: Iterable[ErrorDetails], document: Mapping[str, Any], model: type[BaseModel]) -> list[Problem]:
    """What pydantic found, in our words, the most telling first.

    A misspelt key comes before the wrong values, and those before the keys that are missing; a missing key that a
    misspelt one stands for is not counted twice.

    Args:
        errors: as pydantic lists them.
        document: the campaign file, as it was read.
        model: the model that the document was checked against.
    """
    known = known_keys(model)
    ranked = sorted(_without_consequences(list(errors)), key=_rank)
    ranked_problems = [(_rank(error), _problem(error, document, known)) for error in ranked[:MOST_LOOKED_AT]]
    meant = {suggestion for _, problem in ranked_problems if (suggestion := _suggested(problem)) is not None}
    reported = [problem for rank, problem in ranked_problems if not (rank == 2 and problem.key in meant)]
    return [*reported, *(Problem("", error["msg"]) for error in ranked[MOST_LOOKED_AT:])]


def _without_consequences(errors: list[ErrorDetails]) -> list[ErrorDetails]:
    """The errors, except about the length of a list or table with wrong entries: these were not counted in it."""
    within = {error["loc"][:length] for error in errors for length in range(len(error["loc"]))}
    return [error for error in errors if not (error["type"] in TOO_SHORT and error["loc"] in within)]


def known_keys(model: type[BaseModel], prefix: str = "", variant: str | None = None) -> dict[str, Known]:
    """Every key of a model and its sections; entries of lists are written `targets[]`.

    Args:
        variant: where the model is one of several for a section, the value of the key that chooses it.
    """
    keys: dict[str, Known] = {}
    for name, field in model.model_fields.items():
        path = f"{prefix}{name}"
        keys[path] = Known((field.description or "").rstrip("."), frozenset([variant] if variant else []))
        sections = _sections(field.annotation)
        for section, is_listed in sections:
            inside = f"{path}[]." if is_listed else f"{path}."
            chosen = _variant(section) if len(sections) > 1 else None
            for key, known in known_keys(section, inside, chosen).items():
                keys[key] = known.joined(keys.get(key))
    return keys


def _problem(error: ErrorDetails, document: Mapping[str, Any], known: Mapping[str, Known]) -> Problem:
    location = _location(error, document)
    key = dotted(location)
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        variants = {part for part in error["loc"] if part not in location}
        return unknown_key(key, _siblings(key, known, variants), list(known))
    if kind == "missing":
        return Problem(key, f"expected this key{_meaning(key, known)}, got none")
    if kind == "union_tag_not_found":
        return _no_choice(f"{key}.model", known)
    if kind == "value_error":
        return _value_problem(location, str(context["error"]), error, document)
    if kind == "union_tag_invalid":
        expected = ", ".join(map(repr, sorted(known[f"{key}.model"].variants)))
        return Problem(f"{key}.model", _choice(expected, context["tag"]))
    if kind == "literal_error":
        return Problem(key, _choice(context["expected"], error["input"]))
    limits = {name: _number(value) for name, value in context.items()}
    expected = KINDS.get(kind) or LIMITS.get(kind, "").format(**limits) or error["msg"]
    return Problem(key, f"expected {expected}{_meaning(key, known)}, got {shown(error['input'])}{_hint(key, error)}")


def _value_problem(location: Location, text: str, error: ErrorDetails, document: Mapping[str, Any]) -> Problem:
    """A check of a model's own; its text may begin with the name of one of the keys in the table."""
    name, _, rest = text.partition(": ")
    table = _value_at(location, document)
    if rest and isinstance(table, Mapping) and name in table:
        return Problem(dotted((*location, name)), rest)
    if isinstance(table, str) and "got" not in text:
        text = f"{text}, got {shown(table)}"
    return Problem(dotted(location), text)


def _choice(expected: str, came: object) -> str:
    words = re.findall(r"'([^']*)'", expected)
    meant = nearest(came, words) if isinstance(came, str) else None
    hint = f"; did you mean {meant!r}?" if meant else ""
    return f"expected {'one of ' if len(words) > 1 else ''}{', '.join(map(repr, words))}, got {shown(came)}{hint}"


def _hint(key: str, error: ErrorDetails) -> str:
    if error["type"] in ("tuple_type", "list_type") and isinstance(error["input"], Mapping):
        return f"; write [[{key}]] instead of [{key}]"
    return ""


def _meaning(key: str, known: Mapping[str, Known]) -> str:
    field = known.get(re.sub(r"\[\d+\]", "[]", key))
    return f" ({field.meaning})" if field and field.meaning else ""


def _no_choice(key: str, known: Mapping[str, Known]) -> Problem:
    """The key that chooses the variant of a section is missing."""
    choices = ", ".join(repr(variant) for variant in sorted(known[key].variants))
    return Problem(key, f"expected this key, one of {choices}, got none")


def _number(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _rank(error: ErrorDetails) -> int:
    if error["type"] == "extra_forbidden":
        return 0
    return 2 if error["type"] in ("missing", "union_tag_not_found") else 1


def _suggested(problem: Problem) -> str | None:
    suggestion = re.search(r"did you mean ([\w.\[\]-]+)\?$", problem.text)
    return suggestion[1] if suggestion else None


def _siblings(key: str, known: Mapping[str, Known], variants: set[int | str]) -> list[str]:
    """The known keys of the table in which a key stands, with the table's own path in front."""
    table = key.rpartition(".")[0]
    pattern = re.sub(r"\[\d+\]", "[]", table)
    inside = [
        path
        for path, about in known.items()
        if path.rpartition(".")[0] == pattern and (not about.variants or about.variants & variants)
    ]
    return [f"{table}.{_last(path)}" if table else path for path in inside]


def dotted(location: Location) -> str:
    """A path such as `targets[0].twist_deg`."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else repr(part)
            text += f".{name}" if text else name
    return text


def _location(error: ErrorDetails, document: Mapping[str, Any]) -> Location:
    """Pydantic's location without the parts that are not in the file: tags of unions and marks of keys."""
    location: list[int | str] = []
    here: Any = document
    for number, part in enumerate(error["loc"]):
        is_last = number == len(error["loc"]) - 1
        if _holds(here, part):
            here = here[part]
        elif not (is_last and error["type"] == "missing"):
            continue
        location.append(part)
    return tuple(location)


def _holds(table: Any, part: int | str) -> bool:
    if isinstance(table, list):
        return isinstance(part, int) and part < len(table)
    return isinstance(table, Mapping) and part in table


def _value_at(location: Location, document: Mapping[str, Any]) -> Any:
    here: Any = document
    for part in location:
        here = here[part]
    return here


def _sections(annotation: Any) -> list[tuple[type[BaseModel], bool]]:
    """The models inside a field's type, and whether they stand in a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [(annotation, False)]
    origin = typing.get_origin(annotation)
    inner = [section for part in typing.get_args(annotation) for section in _sections(part)]
    is_union = origin in (typing.Union, types.UnionType, typing.Annotated)
    return inner if is_union else [(section, True) for section, _ in inner]


def _variant(section: type[BaseModel]) -> str | None:
    """The value of the key `model` that chooses this section among several."""
    field = section.model_fields.get("model")
    return field.default if field is not None and isinstance(field.default, str) else None


class CampaignFileError(ValueError):
    """A campaign file cannot be used; a line for each error names file, key, what was expected and came."""
