"""Frame stream from a worker to an analyzer, against raw pyzmq PUSH/PULL with the same buffers."""

from __future__ import annotations

import multiprocessing as mp
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import zmq

from bench.table import Row
from moireloop_broker.contract.frames import Frame, FrameHeader, FrameHeaders, frame_parts, message_of
from moireloop_broker.streams.curve import Curve
from moireloop_broker.streams.frames import COPY_BELOW_BYTES, FramePublisher, FrameReceiver

SIZES = ((10_000, 20_000), (1_200_000, 1500), (12_000_000, 150))
PATIENCE_S = 120

Context = mp.get_context("spawn")


def _header(atoms: int, step: int) -> FrameHeader:
    cell = [[38.0, 0.0, 0.0], [19.0, 33.0, 0.0], [0.0, 0.0, 20.0]]
    return FrameHeader(
        candidate_id="c00001",
        attempt=1,
        step=step,
        time_ps=step * 0.004,
        cell=cell,
        periodic=[True, True, False],
        shape=[atoms, 3],
        lattice_types=[1, 3],
        elements=["Mo", "S", "Mo", "S"],
        temperature_k=300.0,
    )


def _frame(size: int) -> Frame:
    atoms = size // 13
    return Frame(_header(atoms, 0), np.ones((atoms, 3), dtype=np.float32), np.ones(atoms, dtype=np.uint8))


def _push_raw(endpoint: str, size: int, count: int, stop: mp.synchronize.Event, curve: str | None) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.PUSH)
    if curve:
        Curve.model_validate_json(curve).secure_client(socket)
    socket.connect(endpoint)
    parts = [bytes(part) for part in frame_parts(_frame(size))]
    for _ in range(count):
        socket.send_multipart(parts, copy=size < COPY_BELOW_BYTES)
    stop.wait(PATIENCE_S)
    context.destroy(linger=0)


def _push_ours(endpoint: str, size: int, count: int, stop: mp.synchronize.Event, curve: str | None) -> None:
    keys = Curve.model_validate_json(curve) if curve else None
    publisher = FramePublisher(lambda: frozenset({endpoint}), curve=keys)
    frame = _frame(size)
    headers, cell, shape = FrameHeaders(frame.header), frame.header.cell, frame.header.shape
    for step in range(count):
        header = headers.packed(step, step * 0.004, cell, shape, 300.0, None, None, None)
        publisher.send(message_of(header, frame.positions, frame.types))
        if publisher.waiting:
            publisher.flush(PATIENCE_S)
    publisher.flush(PATIENCE_S)
    stop.wait(PATIENCE_S)
    publisher.close()


def _pull_raw(endpoint: str, size: int, curve: str | None) -> tuple[str, Callable[[], object], Callable[[], None]]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.PULL)
    if curve:
        keys = Curve.model_validate_json(curve)
        socket.curve_server = True
        socket.curve_secretkey = keys.server_secret.encode()
    socket.bind(endpoint)
    copy = size < COPY_BELOW_BYTES
    bound = socket.getsockopt_string(zmq.LAST_ENDPOINT)
    return bound, lambda: socket.recv_multipart(0, copy), lambda: context.destroy(linger=0)


def _pull_ours(endpoint: str, size: int, curve: str | None) -> tuple[str, Callable[[], object], Callable[[], None]]:
    receiver = FrameReceiver(endpoint, curve=Curve.model_validate_json(curve) if curve else None)
    return receiver.endpoint, lambda: receiver.receive(PATIENCE_S), receiver.close


def frames_per_s(ours: bool, endpoint: str, size: int, count: int, curve: str | None = None) -> float:
    """Frames of `size` bytes per second from another process to this one."""
    bound, receive, close = (_pull_ours if ours else _pull_raw)(endpoint, size, curve)
    stop = Context.Event()
    sender = Context.Process(target=_push_ours if ours else _push_raw, args=(bound, size, count, stop, curve))
    sender.start()
    try:
        receive()
        begun_s = time.perf_counter()
        for _ in range(count - 1):
            receive()
        return (count - 1) / (time.perf_counter() - begun_s)
    finally:
        stop.set()
        sender.join(10)
        close()


def rows(sizes: Sequence[tuple[int, int]] = SIZES, rounds: int = 5) -> list[Row]:
    """Paired ratios by size, local sockets as in a local service set; TCP with CURVE for the record."""
    return [_row(size, count, rounds) for size, count in sizes]


def _row(size: int, count: int, rounds: int) -> Row:
    pairs = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            raw, ours = (
                frames_per_s(is_ours, f"ipc://{Path(folder) / f'{number}{is_ours}'}", size, count)
                for is_ours in (False, True)
            )
            pairs.append((raw, ours))
    ratio = median(ours / raw for raw, ours in pairs)
    raw, ours = median(p[0] for p in pairs), median(p[1] for p in pairs)
    curve = Curve.generate().model_dump_json()
    sealed_raw, sealed = (
        frames_per_s(is_ours, "tcp://127.0.0.1:*", size, count // 3, curve) for is_ours in (False, True)
    )
    baseline = (
        f"raw {raw:,.0f}/s, ours {ours:,.0f}/s = {ours * size / 1e9:.2f} GB/s; "
        f"tcp with CURVE raw {sealed_raw:,.0f}/s, ours {sealed:,.0f}/s"
    )
    return Row(f"frame stream, {size / 1e6:g} MB frames", 100 * ratio, "% of raw", 70, "at least", baseline)
