"""LAMMPS inputs are read as LAMMPS reads them, and numbers go into their placeholders as they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moireloop_worker.inputs.lammps_input import Command, ScriptRefused, commands_of

names = st.from_regex(r"[A-Za-z][A-Za-z0-9_.-]{0,10}", fullmatch=True)
numbers = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(10**15), 10**15))


def texts(script: str) -> list[tuple[int, str]]:
    return [(command.line, command.text) for command in commands_of(script)]


def test_comments_and_blank_lines_are_left_out() -> None:
    """A comment begins at `#`, though not inside quotes; lines keep their numbers."""
    script = "# head\n\nunits metal # as usual\n  print \"no. # 1\" # said\nprint 'no. # 2'\r\n#run 5"
    assert texts(script) == [(3, "units metal"), (4, 'print "no. # 1"'), (5, "print 'no. # 2'")]


def test_continued_lines_are_one_command() -> None:
    """`&` at the end of a line joins it with the next, as often as it stands there; the first line's number counts."""
    assert texts("region box block 0 1 &\n  0 1 &  \n 0 1\nrun 1") == [
        (1, "region box block 0 1   0 1  0 1"),
        (4, "run 1"),
    ]
    assert texts("a & b\nc &") == [(1, "a & b"), (2, "c")]


def test_a_comment_goes_on_behind_its_continuation() -> None:
    """LAMMPS joins lines before it looks for comments."""
    assert texts("run 1 # then &\nrun 2\nrun 3") == [(1, "run 1"), (3, "run 3")]


def test_words_lose_their_quotes() -> None:
    """A quoted part that begins a word is one word with its blanks."""
    (command,) = commands_of("""print "a b" 'c "d"' e"f  ${x} $(1+2)""" + '"')
    assert command.texts == ("print", "a b", 'c "d"', 'e"f', "${x}", '$(1+2)"')


@pytest.mark.parametrize(
    ("script", "line", "text"),
    [
        ('units metal\nprint """a"""', 2, "triple quotes"),
        ('units metal\n\nprint "a', 3, "quotes around whole words"),
        ('print "a"b', 1, "quotes around whole words"),
        ("velocity all create {{temperature_k} 1", 1, "expected a placeholder such as {{seed}}"),
    ],
)
def test_unreadable_commands_are_refused_with_their_line(script: str, line: int, text: str) -> None:
    """What LAMMPS could not read, or we not, is reported with its line."""
    with pytest.raises(ScriptRefused, match=f"^line {line}: .*{text}"):
        commands_of(script)


def test_placeholders_are_found_wherever_they_stand() -> None:
    """Blanks within the braces do not count; LAMMPS's own variables and comments are no placeholders."""
    (command,) = commands_of("fix 1 all langevin {{t}} ${t} '{{ t2 }}' $({{x}}*2) # {{y}}")
    assert command.placeholders == ["t", "t2", "x"]
    assert command.filled({"t": 1.5, "t2": 2, "x": -3.0}).text == "fix 1 all langevin 1.5 ${t} '2' $(-3.0*2)"


@given(st.dictionaries(names, numbers, min_size=1, max_size=5))
def test_numbers_are_filled_in_to_full_precision(values: dict[str, int | float]) -> None:
    """What LAMMPS reads is the very number, of the same kind, and no number takes another's place."""
    text = "cmd " + " ".join(f"{{{{{name}}}}}" for name in values)
    filled = Command(1, text).filled(values).texts[1:]
    for word, value in zip(filled, values.values(), strict=True):
        assert type(value)(word) == value


@given(st.text(), st.dictionaries(names, numbers, max_size=3))
def test_text_without_placeholders_stays(text: str, values: dict[str, int | float]) -> None:
    """Filling in changes nothing else."""
    if "{{" not in text:
        assert Command(1, text).filled(values).text == text


@given(st.text(alphabet="ab &#\"'{}\n", max_size=60))
def test_any_text_is_read_or_refused(script: str) -> None:
    """No text leads to anything but commands with words, in the order of their lines, or a refusal with a line."""
    try:
        commands = commands_of(script)
    except ScriptRefused as error:
        last = script.count("\n") + 1
        assert all(1 <= wrong.line <= last for wrong in error.wrong)  # noqa: PT017
    else:
        assert [command.line for command in commands] == sorted({command.line for command in commands})
        assert all(command.words for command in commands)
