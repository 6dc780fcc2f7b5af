"""A class of messages stands for its topic."""

from __future__ import annotations

import pytest

from moireloop_broker.contract.control import StatusRequest
from moireloop_broker.contract.events import Observation, Result
from moireloop_broker.contract.topics import LOG_TOPICS, OBSERVED_TOPICS, topic_named


def test_topic_of_a_class_is_its_present_version() -> None:
    """Nobody has to know the number; a topic that is given as text stands for itself."""
    assert topic_named(Result) in LOG_TOPICS
    assert topic_named(Result) == Result.model_fields["tag"].default
    assert topic_named(Observation) in OBSERVED_TOPICS
    assert topic_named("result/3") == "result/3"


def test_class_that_is_not_published_is_refused() -> None:
    """The text names the class."""
    with pytest.raises(ValueError, match="expected a class of published messages, such as Result, got StatusRequest"):
        topic_named(StatusRequest)
