"""Writes the schema of the wire into the package, after a change of a message or its meanings: `make schema`."""

from __future__ import annotations

from pathlib import Path

from moireloop_broker.contract import wire_schema

if __name__ == "__main__":
    (Path(wire_schema.__file__).parent / "data" / "schema.json").write_text(wire_schema.schema_text(), encoding="utf-8")
