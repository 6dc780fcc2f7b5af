"""The topics of the ZeroMQ streams, named only here (pure).

A published message has three parts: topic, stamp (MessagePack of `Stamp`), body (MessagePack of the message). The topic
is the message's tag, so that a subscriber chooses by a prefix: b"result/" for all versions, b"" for everything.
A frame has the topic `frames.FRAME_TOPIC` and travels on its own sockets, from a worker to an analyzer.
"""

from __future__ import annotations

from typing import Final, get_args

from moireloop_broker.contract.events import Event, FrameAnalysed, Observation, Published
from moireloop_broker.contract.message import Message

OBSERVATION: Final[str] = Observation.model_fields["tag"].default

FRAME_ANALYSED: Final[str] = FrameAnalysed.model_fields["tag"].default

OBSERVED_TOPICS: Final = frozenset({OBSERVATION, FRAME_ANALYSED})
"""Topics of the stream of frame observations, which has its own ids."""

LOG_TOPICS: Final[frozenset[str]] = frozenset(
    model.model_fields["tag"].default for model in get_args(get_args(Event)[0])
)


def topic_named(message: str | type[Message]) -> str:
    """The topic of a class of messages; a topic stands for itself.

    Raises:
        ValueError: messages of this class are not published.
    """
    name = message if isinstance(message, str) else str(getattr(message.model_fields.get("tag"), "default", ""))
    if not isinstance(message, str) and name not in LOG_TOPICS | OBSERVED_TOPICS:
        raise ValueError(f"expected a class of published messages, such as Result, got {message.__name__}")
    return name


def topic_of(message: Published) -> bytes:
    """The topic under which a message is published."""
    return message.tag.encode("ascii")
