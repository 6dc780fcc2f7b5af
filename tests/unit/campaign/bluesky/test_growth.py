"""What of the device needs no campaign: setpoints, statuses, addresses, places."""

from __future__ import annotations

from pathlib import Path

import pytest
from bluesky.protocols import Movable, Readable, Status

from moireloop.bluesky.growth import NothingSet, Setpoint
from moireloop.bluesky.publishing import AlreadyPublished, Progress, Publisher, WrongAddress
from moireloop.bluesky.status import GrowthStatus
from moireloop.bluesky.tiled import NoTiled, WrongTiled, refuse_unreachable
from moireloop.client.requests import BadArgument
from moireloop_broker.connection import free_port
from moireloop_broker.contract.control import ParameterRange


def test_setpoint_takes_what_its_parameter_can_have() -> None:
    """Anything else fails the status, with the range; the value stays."""
    setpoint = Setpoint("temperature_k", ParameterRange(unit="K", low=1500, high=4500), "moireloop:a/temperature_k")
    assert isinstance(setpoint, Movable)
    assert isinstance(setpoint, Readable)
    with pytest.raises(NothingSet, match="temperature_k has no value"):
        _ = setpoint.value
    setpoint.set(2000).wait(0)
    for wrong in (1000.0, float("nan"), "hot", None):
        failed = setpoint.set(wrong)  # type: ignore[arg-type]
        assert isinstance(failed.exception(0), BadArgument)
        assert "from 1500 to 4500" in str(failed.exception(0))
    assert setpoint.value == 2000.0
    assert setpoint.describe()["temperature_k"]["units"] == "K"


def test_status_is_done_once() -> None:
    """Callbacks are called once, also those that come later."""
    status, called = GrowthStatus(), list[bool]()
    assert isinstance(status, Status)
    status.add_callback(lambda ended: called.append(ended.success))
    with pytest.raises(TimeoutError):
        status.wait(0)
    status.finish(ValueError("no"))
    status.finish()
    status.add_callback(lambda ended: called.append(ended.success))
    assert called == [False, False]
    with pytest.raises(ValueError, match="no"):
        status.wait(0)


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("foo", "expected an address"),
        ("tcp://127.0.0.1:0", "expected an address"),
        ("tcp://127.0.0.1:70000", "expected an address"),
        ("http://127.0.0.1:80", "expected an address"),
        ("tcp://192.0.2.1:5567", "unencrypted"),
        ("host.example:5567", "unencrypted"),
    ],
)
def test_wrong_address_is_refused(address: str, says: str) -> None:
    """Before a socket is opened; another machine is not reached in clear unless asked."""
    with pytest.raises(WrongAddress, match=says):
        Publisher(address)


def test_place_is_kept_and_held_by_one(tmp_path: Path) -> None:
    """The next process goes on from it; a second one at the same time is refused."""
    first = Progress("f00d", "tcp://127.0.0.1:1", tmp_path)
    assert first.place is None
    first.reached(((1796007615773, 12), 1))
    with pytest.raises(AlreadyPublished, match="one is enough"):
        Progress("f00d", "tcp://127.0.0.1:1", tmp_path)
    Progress("f00d", "tcp://127.0.0.1:2", tmp_path).close()
    first.close()
    again = Progress("f00d", "tcp://127.0.0.1:1", tmp_path)
    assert again.place == ((1796007615773, 12), 1)
    again.forget()
    again.close()
    assert Progress("f00d", "tcp://127.0.0.1:1", tmp_path).place is None


def test_missing_tiled_is_reported_at_once() -> None:
    """And what is no address of one."""
    with pytest.raises(WrongTiled, match="address of a Tiled server"):
        refuse_unreachable("127.0.0.1:8000")
    with pytest.raises(NoTiled, match="nothing responds"):
        refuse_unreachable(f"http://127.0.0.1:{free_port('127.0.0.1')}")
