"""The notebook of the docs runs as it stands."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebooks" / "campaign.ipynb"

pytestmark = [pytest.mark.timeout(300), pytest.mark.filterwarnings("default")]


def test_notebook_runs_a_campaign(tmp_path: Path) -> None:
    """From the start of a real campaign to its regret curve and its table, each cell without an error."""
    notebook = nbformat.reads(NOTEBOOK.read_text(encoding="utf-8"), as_version=4)  # type: ignore[no-untyped-call]
    assert not any(cell.get("outputs") for cell in notebook.cells), "the notebook is kept without outputs"
    client = NotebookClient(notebook, timeout=250, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    printed = "".join(output["text"] for output in shown if output["output_type"] == "stream")
    assert "mine-1" in printed
    pages = "".join(output["data"].get("text/html", "") for output in shown if "data" in output)
    assert "<b>notebook</b> completed: 6 of 6 results" in pages
    assert "<table" in pages
    assert "<svg" in pages or "no twist yet" in pages
