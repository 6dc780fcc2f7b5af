"""The example of docs/measure.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "measure.md"


def test_the_example_prints_what_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    """Run as it stands there, its first line is the one that the text shows."""
    text = PAGE.read_text(encoding="utf-8")
    example = next(code for code in re.findall(r"```python\n(.*?)```", text, re.S) if "measure_twist" in code)
    said = re.search(r"This prints `(.*?)`", text)
    assert said is not None
    exec(compile(example, str(PAGE), "exec"), {})  # noqa: S102
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == said[1]
    assert shown[1].startswith("None 1.0 [1.0, 1.0]")
