"""What the clients of the live benchmark read of a stream, however it is cut into pieces."""

from __future__ import annotations

import pytest
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from benchmarks.live_server import frame
from benchmarks.subscribers import Frames

BATCHES = b"".join(
    frame(b'{"type":"logs","logs":[%b],"seq":%d,"journal":"j-1"}' % (b"1," * size, seq))
    for seq, size in ((3, 5), (500, 300), (90_000, 40_000))
)


@pytest.mark.parametrize("piece", [1, 7, 1000, len(BATCHES)])
def test_a_batch_tells_how_far_it_goes_wherever_the_stream_is_cut(piece: int) -> None:
    frames = Frames(batch=True)
    seen = []
    for begin in range(0, len(BATCHES), piece):
        frames.feed(BATCHES[begin : begin + piece])
        seen.append(frames.seq)
    assert seen == sorted(seen)
    assert (seen[-1], frames.bytes) == (90_000, len(BATCHES))
    assert piece != 1 or set(seen) == {0, 3, 500, 90_000}


def test_a_message_an_event_is_counted() -> None:
    frames = Frames(batch=False)
    frames.feed(frame(b"{}") * 4 + frame(b"{}")[:2])
    assert frames.seq == 4


@pytest.mark.parametrize("piece", [1, 3, 100])
def test_pings_are_no_messages_and_are_answered(piece: int) -> None:
    frames = Frames(batch=True)
    stream = bytes([0x89, 4]) + b"ping" + bytes([0x89, 0]) + frame(b'{"seq":7}') + b"\x89\x01!"
    for begin in range(0, len(stream), piece):
        frames.feed(stream[begin : begin + piece])
    server = ServerProtocol(state=State.OPEN)
    server.receive_data(frames.pongs)
    pongs = [each for each in server.events_received() if isinstance(each, Frame)]
    assert [(each.opcode, each.data) for each in pongs] == [
        (Opcode.PONG, b"ping"),
        (Opcode.PONG, b""),
        (Opcode.PONG, b"!"),
    ]
    assert frames.seq == 7
