"""What `workers.launcher_options` passes on to Flux, by the names that `flux submit` has for it (pure)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

SETTINGS: Final = {"queue": "system.queue", "bank": "system.bank", "project": "system.project"}

SHELL, ATTRIBUTE = "o.", "S."

OURS: Final = ("exit-on-error", "output")

KNOWN: Final = (*SETTINGS, "time-limit", "exclusive", "o.NAME", "S.NAME")

UNITS_S: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def why_refused(options: Mapping[str, str]) -> str | None:
    """What is wrong with options, in words; None where Flux can be given them all."""
    for name, value in options.items():
        if name.startswith(SHELL) and name[2:].split(".")[0] in OURS:
            return f"expected no {name}, which moireloop sets itself"
        if name == "time-limit" and _seconds(value) is None:
            return f"expected a time-limit such as 90, 30m or 2h, got {value!r}"
        if name == "exclusive" and value:
            return f'expected exclusive = "", got {value!r}'
        if name in SETTINGS and not value:
            return f"expected a value for {name}, got none"
        if name not in (*SETTINGS, "time-limit", "exclusive") and not re.match(r"[oS]\.[A-Za-z]", name):
            return f"expected {', '.join(KNOWN)} (as in `flux submit -o NAME=VALUE`, `-S NAME=VALUE`), got {name!r}"
    return None


@dataclass(frozen=True)
class JobOptions:
    """What options put into a jobspec: options of the job shell, attributes by dotted name, and whole nodes or not."""

    shell: Mapping[str, Any]
    attributes: Mapping[str, Any]
    exclusive: bool


def job_options(options: Mapping[str, str]) -> JobOptions:
    """What options, of which none is refused, put into a jobspec."""
    attributes: dict[str, Any] = {SETTINGS[name]: value for name, value in options.items() if name in SETTINGS}
    attributes |= {name[2:]: _value(value) for name, value in options.items() if name.startswith(ATTRIBUTE)}
    if "time-limit" in options:
        attributes["system.duration"] = _seconds(options["time-limit"])
    shell = {name[2:]: _value(value) for name, value in options.items() if name.startswith(SHELL)}
    return JobOptions(shell, attributes, exclusive="exclusive" in options)


def _value(text: str) -> Any:
    """A number, list or table as Flux takes it; text as it is; nothing is a flag."""
    if not text:
        return 1
    try:
        return json.loads(text)
    except ValueError:
        return text


def _seconds(text: str) -> float | None:
    """A duration as Flux writes it."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    return float(match[1]) * UNITS_S[match[2]] if match else None
