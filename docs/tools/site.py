"""Hook of mkdocs: pages of the site that lie outside docs/, and links as they read in a checkout.

A page links to files as they lie in the repository, so that it works there and on the site.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[2]
OUTSIDE = ("CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "docker/README.md")
"""Files of the repository that the site has beside docs/; further ones are those that a page links to."""
LINK = re.compile(r"(\]\()([^)#\s]+)((?:#[^)\s]*)?\))")
CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]+`", re.MULTILINE | re.DOTALL)


def on_config(config: Any) -> Any:
    """The decisions stand in the navigation by their files, so that none is forgotten."""
    decisions = [f"adr/{path.name}" for path in sorted((ROOT / "docs" / "adr").glob("*.md"))]
    for section in config.nav:
        for entry in section.get("Explanations", []):
            if "Decisions" in entry:
                entry["Decisions"] = decisions
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the pages from outside docs/, and whatever a page links to."""
    wanted = set(OUTSIDE)
    for path in [*(ROOT / "docs").rglob("*.md"), *(ROOT / name for name in OUTSIDE if name.endswith(".md"))]:
        for _, target, _ in LINK.findall(path.read_text(encoding="utf-8")):
            wanted.add(posixpath.normpath(posixpath.join(path.parent.relative_to(ROOT).as_posix(), target)))
    for name in sorted(wanted):
        if not name.startswith("docs/") and (ROOT / name).is_file():
            files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Turn links between files of the repository into links between files of the site."""
    here = page.file.src_uri
    outside = page.file.generated_by is not None
    folder = posixpath.dirname(here if outside else f"docs/{here}")

    def moved(found: re.Match[str]) -> str:
        if "://" in found[2]:
            return found[0]
        target = posixpath.normpath(posixpath.join(folder, found[2])).removeprefix("docs/")
        if (ROOT / target).is_dir() and target.startswith("tests"):
            return found[0]
        return f"{found[1]}{posixpath.relpath(target, posixpath.dirname(here) or '.')}{found[3]}"

    parts, end = [], 0
    for code in CODE.finditer(markdown):
        parts += [LINK.sub(moved, markdown[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, LINK.sub(moved, markdown[end:])])
