"""Wire contract, ZeroMQ streams, Redis state and the broker service (pure)."""

from __future__ import annotations
