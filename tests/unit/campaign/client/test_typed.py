"""The examples of the pages are typed as strictly as our own code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]

WRONG = (
    "campaign.propose(1, mine)",
    "campaign.best('8.2')",
    "campaign.page(limit='9')",
    "names: list[int] = campaign.replicate('c00001', runs=2)",
    "from moireloop import connect_async",
    "twist: float | None = connect_async('demo.campaign').best()",
)
"""Each but the import has one error."""


@pytest.mark.processes
def test_examples_of_the_pages_pass_mypy(tmp_path: Path) -> None:
    """What the first tutorial and docs/python.md give to copy passes `mypy --strict`; a wrong line does not."""
    programs: list[str] = []
    for page in ("docs/tutorials/first-campaign.md", "docs/python.md"):
        for block in re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text(encoding="utf-8"), re.M | re.S):
            if "from moireloop import" in block:
                programs.append(block)
            elif programs:
                programs[-1] += block
    assert len(programs) == 3
    for number, program in enumerate(programs):
        (tmp_path / f"example_{number}.py").write_text(program)
    wrong = "".join(f"\n{line}" for line in WRONG)
    (tmp_path / "wrong.py").write_text(f"{programs[0]}{wrong}\n")
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file", "pyproject.toml", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    errors = [line for line in checked.stdout.splitlines() if ": error:" in line]
    assert len(errors) == len(WRONG) - 1, checked.stdout + checked.stderr
    assert all("wrong.py" in error for error in errors)
