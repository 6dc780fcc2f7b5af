"""Hostile input: malformed, and well-formed but insane. One corpus for the contract and for the services alive.

Each piece is refused as MalformedMessage, whose text contains `says`. None of it may raise anything else, and none may
stop a service that receives it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgpack

from moireloop_broker.contract.codec import pack
from moireloop_broker.contract.control import StatusRequest
from moireloop_broker.contract.frames import MAX_FRAME_ATOMS
from moireloop_broker.contract.message import MAX_MESSAGE_BYTES


@dataclass(frozen=True)
class Hostile:
    """Bytes of one message, and what the refusal must say of them."""

    data: bytes
    says: str


@dataclass(frozen=True)
class HostileFrame:
    """Parts of one frame message, and what the refusal must say of them."""

    parts: list[bytes]
    says: str


def _packed(fields: Any) -> bytes:
    packed: bytes = msgpack.packb(fields)
    return packed


def _stop(reason: bytes) -> bytes:
    """A stop request whose reason is raw MessagePack."""
    return b"\x82" + _packed("tag") + _packed("stop_request/2") + _packed("reason") + reason


def _propose(**changes: Any) -> Hostile:
    good = {"tag": "propose_request/2", "candidate_id": "x", "parameters": {"temperature_k": 2000.0}}
    return Hostile(_packed(good | changes), f"propose_request/2.{next(iter(changes))}")


def _replay(**changes: Any) -> Hostile:
    return Hostile(_packed({"tag": "replay_request/1"} | changes), f"replay_request/1.{next(iter(changes))}")


NOT_MESSAGES: Final[dict[str, Hostile]] = {
    "empty": Hostile(b"", "MessagePack"),
    "byte that MessagePack never uses": Hostile(b"\xc1\xc1\xc1", "MessagePack"),
    "truncated": Hostile(pack(StatusRequest())[:-2], "MessagePack"),
    "trailing byte": Hostile(pack(StatusRequest()) + b"\x00", "extra data"),
    "HTTP": Hostile(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "MessagePack"),
    "JSON": Hostile(b'{"tag": "status_request/3"}', "MessagePack"),
    "pickle": Hostile(
        b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94\x8c\x06system\x94\x93\x94.", "extra data"
    ),
    "a number": Hostile(_packed(7), "dictionary"),
    "a list": Hostile(_packed(["status_request/3"]), "dictionary"),
    "nil": Hostile(b"\xc0", "dictionary"),
    "lists nested 20000 deep": Hostile(b"\x91" * 20_000 + b"\x01", "MessagePack"),
    "lists nested 500 deep": Hostile(b"\x91" * 500 + b"\x01", "dictionary"),
    "maps nested 20000 deep": Hostile(b"\x81\xa1a" * 20_000 + b"\x01", "MessagePack"),
    "list of 2^32 - 1 that is not there": Hostile(b"\xdd\xff\xff\xff\xff", "MessagePack"),
    "map of 2^32 - 1 that is not there": Hostile(b"\xdf\xff\xff\xff\xff", "MessagePack"),
    "4 GiB of bin that is not there": Hostile(b"\xc6\xff\xff\xff\xff", "MessagePack"),
    "4 GiB of text that is not there": Hostile(b"\xdb\xff\xff\xff\xff", "MessagePack"),
    "number as key": Hostile(b"\x81\x01\x02", "map key"),
    "map as key": Hostile(b"\x81\x80\x02", "MessagePack"),
    "time stamp as key": Hostile(b"\x81\xd6\xff\x00\x00\x00\x00\x01", "map key"),
    "time stamp of three bytes": Hostile(b"\xc7\x03\xff\xff\xff\xff", "timestamp"),
    "time stamp of too many nanoseconds": Hostile(b"\xc7\x0c\xff" + b"\xff" * 12, "nanoseconds"),
    "unknown extension": Hostile(b"\xc7\x01\x05a", "message"),
    "no tag": Hostile(b"\x80", "tag"),
    "tag in bin": Hostile(_packed({"tag": b"status_request/3"}), "tag"),
    "key in bin": Hostile(_packed({b"tag": "status_request/3"}), "tag"),
    "list as tag": Hostile(_packed({"tag": ["status_request/3"]}), "tag"),
    "map as tag": Hostile(_packed({"tag": {"a": 1}}), "tag"),
    "nil as tag": Hostile(_packed({"tag": None}), "tag"),
    "NaN as tag": Hostile(_packed({"tag": float("nan")}), "tag"),
    "unknown tag": Hostile(_packed({"tag": "shutdown/1"}), "shutdown/1"),
    "tag of 200 kB": Hostile(_packed({"tag": "x" * 200_000}), "tag"),
    "tag with control characters": Hostile(_packed({"tag": "\x1b[2J\r\n2026-01-01 ERROR all is lost"}), "?[2J??2026"),
    "version 0": Hostile(_packed({"tag": "status_request/0"}), "status_request/0"),
    "version to come": Hostile(_packed({"tag": "result/9"}), "result/9"),
}
"""What no reader of any message takes."""

TOO_LARGE: Final = Hostile(b"\xc6" + MAX_MESSAGE_BYTES.to_bytes(4, "big") + bytes(MAX_MESSAGE_BYTES), "at most")
"""Too large for any reader; ZeroMQ closes the connection before the control endpoint sees it."""

REQUESTS: Final[dict[str, Hostile]] = NOT_MESSAGES | {
    "unknown field": Hostile(_packed({"tag": "status_request/3", "method": "os.system"}), "method"),
    "2000 unknown fields": Hostile(_packed({"tag": "status_request/3"} | {f"f{n}": n for n in range(2000)}), "f0"),
    "field name of 200 kB": Hostile(_packed({"tag": "status_request/3", "x" * 200_000: 1}), "xxx"),
    "result sent as a request": Hostile(_packed({"tag": "result/3"}), "result/3"),
    "limit of 10^12": _replay(limit=10**12),
    "limit of nothing": _replay(limit=0),
    "id that is no id": _replay(since="yesterday"),
    "id in other digits": _replay(since="\u0661-\u0661"),
    "id beyond what Redis counts to": _replay(since="99999999999999999999-0"),
    "id with a line end": _replay(since="0-0\n"),
    "id of Redis's own making": _replay(since="$"),
    "nil as id": _replay(since=None),
    "33 topics": _replay(topics=["result/3"] * 33),
    "topic of 65 characters": _replay(topics=["x" * 65]),
    "topics that are no list": _replay(topics="result/3"),
    "NaN": _propose(parameters={"temperature_k": float("nan")}),
    "infinity": _propose(parameters={"temperature_k": float("-inf")}),
    "number beyond every table": _propose(parameters={"temperature_k": 1e300}),
    "text for a number": _propose(parameters={"temperature_k": "2000"}),
    "bool for a number": _propose(parameters={"temperature_k": True}),
    "nil for a number": _propose(parameters={"temperature_k": None}),
    "map for a number": _propose(parameters={"temperature_k": {"$gt": 0}}),
    "no parameters": _propose(parameters={}),
    "33 parameters": _propose(parameters={f"p{n}": 1.0 for n in range(33)}),
    "parameter without name": _propose(parameters={"": 1.0}),
    "parameter with a hostile name": _propose(parameters={"a b; shell rm": 1.0}),
    "path as id": _propose(candidate_id="../../etc/passwd"),
    "empty id": _propose(candidate_id=""),
    "id of 65 characters": _propose(candidate_id="x" * 65),
    "id with NUL": _propose(candidate_id="a\0b"),
    "id that is a glob": _propose(candidate_id="*"),
    "id with a colon": _propose(candidate_id="a:b"),
    "id in bin": _propose(candidate_id=b"x"),
    "negative seed": _propose(seed=-1),
    "seed of 2^31": _propose(seed=2**31),
    "seed of 2^64 - 1": _propose(seed=2**64 - 1),
    "float as seed": _propose(seed=1.0),
    "bool as seed": _propose(seed=True),
    "field missing": Hostile(_packed({"tag": "cancel_request/1", "candidate_id": "x"}), "cancel_request/2.reason"),
    "reason of 100 kB": Hostile(_stop(_packed("y" * 100_000)), "stop_request/2.reason"),
    "empty reason": Hostile(_stop(_packed("")), "stop_request/2.reason"),
    "reason that is not UTF-8": Hostile(_stop(b"\xa2\xff\xfe"), "utf-8"),
    "reason with half a surrogate pair": Hostile(_stop(b"\xa3\xed\xa0\x80"), "utf-8"),
    "reason nested 900 deep": Hostile(_stop(b"\x81\xa1a" * 900 + b"\x01"), "stop_request/2.reason"),
    "time stamp as reason": Hostile(_stop(_packed(msgpack.Timestamp(1))), "stop_request/2.reason"),
}
"""Requests that the control endpoint refuses as malformed."""

_CANDIDATE: Final[dict[str, Any]] = {
    "candidate_id": "c1",
    "parameters": {"temperature_k": 2000.0},
    "seed": 1,
    "proposed_s": 1.0,
}
_RESULT: Final[dict[str, Any]] = {
    "tag": "result/3",
    "candidate": _CANDIDATE,
    "attempt": 1,
    "outcome": "measured",
    "measurement": {"twist_deg": 8.2},
    "times": {"proposed_s": 1.0},
}
_OBSERVATION: Final[dict[str, Any]] = {
    "tag": "observation/4",
    "candidate_id": "c1",
    "attempt": 1,
    "step": 100,
    "time_ps": 0.4,
    "measurement": {"twist_deg": 8.2},
}


def _result(says: str, **changes: Any) -> Hostile:
    return Hostile(_packed(_RESULT | changes), f"result/3{says}")


def _array(shape: list[int], values: int) -> dict[str, Any]:
    return {"shape": shape, "values": [1.0] * values}


def _analyses(x: dict[str, Any], **more: dict[str, Any]) -> dict[str, Any]:
    return {"a": {"arrays": {"x": x, **more}}}


def _observation(says: str, **changes: Any) -> Hostile:
    return Hostile(_packed(_OBSERVATION | changes), f"observation/4{says}")


EVENTS: Final[dict[str, Hostile]] = NOT_MESSAGES | {
    "request sent as an event": Hostile(pack(StatusRequest()), "status_request/3"),
    "unknown field": _result(".method", method="os.system"),
    "unknown field inside": _result(".candidate.priority", candidate=_CANDIDATE | {"priority": 1}),
    "unknown outcome": _result(".outcome", outcome="perfect"),
    "measured without a measurement": _result(": Value error, expected a twist", measurement=None),
    "measured without a twist": _result(": Value error, expected a twist", measurement={"reason": "molten"}),
    "failed without a reason": _result(": Value error, expected a reason", outcome="failed", measurement=None),
    "refused with a twist": _result(": Value error, expected a reason", outcome="refused", reason="molten"),
    "twist and reason": _result(".measurement", measurement={"twist_deg": 8.2, "reason": "molten"}),
    "neither twist nor reason": _result(".measurement", measurement={}),
    "twist of 30.1 degrees": _result(".measurement.twist_deg", measurement={"twist_deg": 30.1}),
    "negative twist": _result(".measurement.twist_deg", measurement={"twist_deg": -0.1}),
    "twist of NaN": _result(".measurement.twist_deg", measurement={"twist_deg": float("nan")}),
    "order of 1.5": _result(".measurement.order_upper", measurement={"twist_deg": 1.0, "order_upper": 1.5}),
    "infinite lattice constant": _result(
        ".measurement.lattice_lower_angstrom",
        measurement={"twist_deg": 1.0, "lattice_lower_angstrom": float("inf")},
    ),
    "attempt 0": _result(".attempt", attempt=0),
    "attempt 10^9": _result(".attempt", attempt=10**9),
    "candidate that is a list": _result(".candidate", candidate=[1, 2, 3]),
    "time before the epoch": _result(".times.proposed_s", times={"proposed_s": -1.0}),
    "time that is infinite": _result(".times.logged_s", times={"proposed_s": 1.0, "logged_s": float("inf")}),
    "no times": _result(".times", times=None),
    "array of another shape": _result(".analyses.a.arrays.x", analyses=_analyses(_array([2, 2], 3))),
    "array of three dimensions": _result(".analyses.a.arrays.x.shape", analyses=_analyses(_array([1, 1, 3], 3))),
    "array of no dimension": _result(".analyses.a.arrays.x.shape", analyses=_analyses(_array([], 1))),
    "array with NaN": _result(
        ".analyses.a.arrays.x.values.0", analyses=_analyses({"shape": [1], "values": [float("nan")]})
    ),
    "array of 8193 values": _result(".analyses.a.arrays.x.", analyses=_analyses(_array([8193], 8193))),
    "arrays of 8193 values": _result(".analyses.a", analyses=_analyses(_array([8192], 8192), y=_array([1], 1))),
    "number that is none": _result(".analyses.a.numbers.x", analyses={"a": {"numbers": {"x": float("inf")}}}),
    "analysis of a hostile name": _result(".analyses.a/b", analyses={"a/b": {}}),
    "nine analyses": _result(".analyses", analyses={f"a{n}": {} for n in range(9)}),
    "confidence of 2": _result(".measurement.confidence", measurement={"twist_deg": 1.0, "confidence": 2.0}),
    "stacking of nobody": _result(".measurement.stacking", measurement={"twist_deg": 1.0, "stacking": "X"}),
    "step beyond 64 bits": _observation(".step", step=2**64 - 1),
    "step beyond int64": _observation(".step", step=2**63),
    "temperature beyond every table": _observation(".temperature_k", temperature_k=-1e300),
    "grains beyond 64 bits": _result(
        ".measurement.grains_lower", measurement={"twist_deg": 1.0, "grains_lower": 2**64 - 1}
    ),
    "time in the year 10^10": _result(".times.proposed_s", times={"proposed_s": 1e17}),
    "negative step": _observation(".step", step=-1),
    "step as a float": _observation(".step", step=100.0),
    "temperature of NaN": _observation(".temperature_k", temperature_k=float("nan")),
    "number for a bool": _observation(".final", final=1),
}
"""What is refused as a message of the log or an observation."""

_HEADER: Final[dict[str, Any]] = {
    "tag": "frame/3",
    "candidate_id": "c1",
    "attempt": 1,
    "step": 1,
    "time_ps": 0.004,
    "cell": [[10.0, 0.0, 0.0], [5.0, 9.0, 0.0], [0.0, 0.0, 12.0]],
    "periodic": [True, True, False],
    "shape": [2, 3],
    "lattice_types": [1],
}
_POSITIONS: Final = bytes(24)
_TYPES: Final = b"\x01\x01"


def _frame(says: str, **changes: Any) -> HostileFrame:
    return HostileFrame([b"frame/3", _packed(_HEADER | changes), _POSITIONS, _TYPES], says)


FRAMES: Final[dict[str, HostileFrame]] = {
    "one empty part": HostileFrame([b""], "4 parts"),
    "topic alone": HostileFrame([b"frame/3"], "4 parts"),
    "five parts": HostileFrame([b"frame/3", _packed(_HEADER), _POSITIONS, _TYPES, b""], "4 parts"),
    "wrong topic": HostileFrame([b"result/3", _packed(_HEADER), _POSITIONS, _TYPES], "topic"),
    "topic of 1 MB": HostileFrame([b"frame/3" * 150_000, _packed(_HEADER), _POSITIONS, _TYPES], "topic"),
    "version to come": HostileFrame([b"frame/1", _packed(_HEADER), _POSITIONS, _TYPES], "topic"),
    "empty header": HostileFrame([b"frame/3", b"", _POSITIONS, _TYPES], "MessagePack"),
    "header that is no MessagePack": HostileFrame([b"frame/3", b"\xc1", _POSITIONS, _TYPES], "MessagePack"),
    "header that is too large": HostileFrame([b"frame/3", TOO_LARGE.data, _POSITIONS, _TYPES], "at most"),
    "header of another kind": HostileFrame([b"frame/3", pack(StatusRequest()), _POSITIONS, _TYPES], "tag"),
    "no positions": HostileFrame([b"frame/3", _packed(_HEADER), b"", _TYPES], "buffers"),
    "short positions": HostileFrame([b"frame/3", _packed(_HEADER), _POSITIONS[:-1], _TYPES], "buffers"),
    "short types": HostileFrame([b"frame/3", _packed(_HEADER), _POSITIONS, b"\x01"], "buffers"),
    "positions and types exchanged": HostileFrame([b"frame/3", _packed(_HEADER), _TYPES, _POSITIONS], "buffers"),
    "float64 positions": HostileFrame([b"frame/3", _packed(_HEADER), bytes(48), _TYPES], "buffers"),
    "more atoms than bytes": _frame("buffers", shape=[MAX_FRAME_ATOMS, 3]),
    "more atoms than allowed": _frame("shape.0", shape=[MAX_FRAME_ATOMS + 1, 3]),
    "step beyond 64 bits": _frame("step", step=2**64 - 1),
    "planned steps beyond int64": _frame("planned_steps", planned_steps=2**63),
    "time of 1e300 ps": _frame("time_ps", time_ps=1e300),
    "energy of 1e300 eV": _frame("potential_ev", potential_ev=1e300),
    "cell of 1e300 angstrom": _frame("cell.0.0", cell=[[1e300, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
    "2^63 atoms": _frame("shape.0", shape=[2**63, 3]),
    "negative number of atoms": _frame("shape.0", shape=[-2, 3]),
    "transposed shape": _frame("shape", shape=[3, 2]),
    "shape of one number": _frame("shape", shape=[2]),
    "shape of 100000 numbers": _frame("shape", shape=[1] * 100_000),
    "big-endian positions": _frame("dtype", dtype=">f4"),
    "objects as positions": _frame("dtype", dtype="|O"),
    "cell of two vectors": _frame("cell", cell=[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
    "cell with NaN": _frame("cell.0.0", cell=[[float("nan"), 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
    "cell of texts": _frame("cell.0", cell=["abc", "def", "ghi"]),
    "numbers for bools": _frame("periodic.0", periodic=[1, 1, 0]),
    "type 0": _frame("lattice_types.0", lattice_types=[0]),
    "type 256": _frame("lattice_types.0", lattice_types=[256]),
    "no lattice types": _frame("lattice_types", lattice_types=[]),
    "element that is none": _frame("elements.0", elements=["mo"]),
    "element of a megabyte": _frame("elements.0", elements=["M" * 1_000_000]),
    "256 elements": _frame("elements", elements=["Mo"] * 256),
    "number as element": _frame("elements.0", elements=[42]),
    "path as candidate": _frame("candidate_id", candidate_id="../x"),
    "part beyond the parts": _frame("part", part=2, parts=2),
    "part of no parts": _frame("parts", parts=0),
    "negative part": _frame("part", part=-1, parts=2),
    "2^62 parts": _frame("parts", parts=2**62),
    "part as a float": _frame("part", part=1.0, parts=2),
    "pressure of NaN": _frame("pressure_bar", pressure_bar=float("nan")),
    "infinite energy": _frame("potential_ev", potential_ev=float("-inf")),
    "infinite time": _frame("time_ps", time_ps=float("inf")),
    "unknown field": _frame("compression", compression="zip"),
}
"""Multipart messages that a receiver of frames refuses."""


def _part(number: int, **changes: Any) -> list[bytes]:
    return [b"frame/3", _packed(_HEADER | {"part": number, "parts": 2} | changes), _POSITIONS, _TYPES]


CONTRADICTING_PARTS: Final[dict[str, list[list[bytes]]]] = {
    "the same part twice": [_part(0), _part(0)],
    "another cell": [_part(0, step=2), _part(1, step=2, cell=[[9.0, 0.0, 0.0], [5.0, 9.0, 0.0], [0.0, 0.0, 12.0]])],
    "another number of parts": [_part(0, step=3), _part(1, step=3, parts=4096)],
    "another kind of periodicity": [_part(0, step=4), _part(1, step=4, periodic=[False, False, False])],
}
"""Messages that are parts of frames, each good by itself: the second of each pair is refused."""
