"""Whatever is done to the file of a run of 200 events is found; the counts are printed."""

from __future__ import annotations

import asyncio
import gzip
from collections import Counter
from collections.abc import Sequence
from copy import copy, deepcopy
from hashlib import sha256
from itertools import combinations
from typing import Any

import pytest

import stenograph as st
from stenograph.engine.errors import ExportRefused
from stenograph.engine.export.exported import ExportReader, read_export
from tests.figures import Figure

EVENTS = 200
PIECE = 1024
LAST = len('{"sha256":""}\n') + 64
"""How many bytes the last line has."""
OF_THE_FILE = {b"journal", b"exported_at", b"offset"}
"""What the chain does not bind: where the file comes from, and where events stood in that journal."""


@st.tool
async def step(state: dict[str, Any], ctx: st.Context) -> dict[str, Any]:
    for word in ("één", "two"):
        ctx.log(word, n=state["n"])
    return {"n": state["n"] + 1}


async def exported(times: int) -> bytes:
    loop = {"to": "step", "until": f"n >= {times}", "max": times}
    graph = {"id": "loop", "start": "step", "nodes": {"step": {"tool": "step", "next": [loop]}}}
    async with st.open(":memory:", tools=[step]) as engine:
        run = await engine.run(graph, {"n": 0}, run_id="r-1")
        return b"".join([piece async for piece in engine.export(run.id)])


class File:
    """An exported file, and readers of it that stand before each of its lines."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.lines = data.splitlines(keepends=True)
        self.starts, self.readers, at = [0], list[ExportReader](), 0
        reader = ExportReader(keep=False)
        for line in self.lines:
            self.readers.append(twin(reader))
            reader.feed(line)
            self.starts.append(at := at + len(line))
        reader.end()

    def is_found(self, changed: bytes, line: int) -> bool:
        """Tell whether a file is refused that is as this one in its first ``line`` lines."""
        reader, begin = twin(self.readers[line]), self.starts[line]
        try:
            for at in range(begin, len(changed), PIECE):
                reader.feed(changed[at : at + PIECE])
            reader.end()
        except ExportRefused:
            return True
        return False

    def field_at(self, place: int) -> bytes:
        """Return the key of a line's own that stands before a byte: ``b"offset"``."""
        line = max(n for n, start in enumerate(self.starts) if start <= place)
        before = self.data[self.starts[line] : place]
        return before.rpartition(b'":')[0].rpartition(b'"')[2]


def twin(reader: ExportReader) -> ExportReader:
    """Return a reader that goes on from the same place, apart from this one."""
    other = copy(reader)
    other._digest, other._begun = reader._digest.copy(), bytearray(reader._begun)
    other._used = deepcopy(reader._used)
    return other


@pytest.fixture(scope="module")
def file() -> File:
    """A run of 33 steps: what begins and ends it, and six events a step."""
    found = File(asyncio.run(exported(33)))
    assert len(found.lines) == EVENTS + 2
    return found


@pytest.fixture(scope="module")
def small() -> bytes:
    return asyncio.run(exported(1))


def told(figure: Figure, what: str, counts: Counter[str]) -> None:
    total = sum(counts.values())
    listed = ", ".join(f"{number:,} {name}" for name, number in counts.items())
    figure(f"{what}: {total:,} of {total:,} ({listed})")


def flipped(data: bytes, place: int, bit: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]


def resealed(data: bytes) -> bytes:
    """Return a file with the SHA-256 of what it now says."""
    body = data[:-LAST]
    return body + b'{"sha256":"%b"}\n' % sha256(body).hexdigest().encode()


def test_every_flip_of_every_bit_of_a_small_file_is_found(small: bytes, figure: Figure) -> None:
    found: Counter[str] = Counter()
    for place in range(len(small)):
        for bit in range(8):
            with pytest.raises(ExportRefused):
                read_export([flipped(small, place, bit)])
            found["of every bit"] += 1
    told(figure, f"flips in a file of {len(small):,} bytes, found", found)


def test_every_flip_of_every_byte_is_found(file: File, figure: Figure) -> None:
    found: Counter[str] = Counter()
    for line, begin in enumerate(file.starts[:-1]):
        for place in range(begin, file.starts[line + 1]):
            for bit in (place % 8, 5):  # the 5th makes small letters of great ones
                assert file.is_found(flipped(file.data, place, bit), line), (place, bit)
                found[kind_of(line)] += 1
    told(figure, f"flips in a file of {len(file.data):,} bytes, found", found)


def kind_of(line: int) -> str:
    return {0: "in the first line", EVENTS + 1: "in the last"}.get(line, "in events")


def test_with_a_new_digest_every_flip_is_found_that_the_chain_binds(
    file: File, figure: Figure
) -> None:
    found: Counter[str] = Counter()
    for line, begin in enumerate(file.starts[:-2]):
        for place in range(begin, file.starts[line + 1]):
            changed = resealed(flipped(file.data, place, place % 8))
            if file.is_found(changed, line):
                found[kind_of(line)] += 1
            else:
                assert file.field_at(place) in OF_THE_FILE
    missed = file.starts[-2] - sum(found.values())
    told(figure, f"flips under a new digest, found ({missed} of {OF_THE_FILE})", found)


def test_every_line_taken_out_doubled_or_swapped_is_found(file: File, figure: Figure) -> None:
    found: Counter[str] = Counter()
    lines = file.lines

    def count(name: str, changed: Sequence[bytes], line: int) -> None:
        data = b"".join(changed)
        assert file.is_found(data, line), (name, line)
        found[name] += 1
        if changed[-1] == lines[-1] and changed[:-1] != lines[:-1]:
            assert file.is_found(resealed(data), line), (name, line)
            found[f"{name}, under a new digest"] += 1

    for at in range(len(lines)):
        count("taken out", [*lines[:at], *lines[at + 1 :]], at)
        count("doubled", [*lines[: at + 1], *lines[at:]], at)
        count("doubled at the end", [*lines[:-1], lines[at], lines[-1]], len(lines) - 2)
    for one, other in combinations(range(len(lines)), 2):
        swapped = lines[:]
        swapped[one], swapped[other] = lines[other], lines[one]
        count("swapped", swapped, one)
    told(figure, "lines changed, found", found)


def test_every_cut_is_found(file: File, figure: Figure) -> None:
    found: Counter[str] = Counter()
    for line, begin in enumerate(file.starts[:-1]):
        for end in range(begin, file.starts[line + 1]):
            assert file.is_found(file.data[:end], line), end
            found["at a byte"] += 1
        if line < len(file.lines) - 1:  # the last ones left out, and a digest made for the rest
            assert file.is_found(resealed(file.data[:begin] + file.lines[-1]), line)
            found["at a line, under a new digest"] += 1
    told(figure, "cuts, found", found)


def test_every_flip_of_a_compressed_file_is_found_or_changes_nothing_in_it(
    file: File, small: bytes, figure: Figure
) -> None:
    found: Counter[str] = Counter()
    for data in (file.data, small):
        whole, packed = read_export([data]), gzip.compress(data, mtime=0)
        for place in range(len(packed)):
            for bit in range(8):
                try:
                    same = read_export([flipped(packed, place, bit)]) == whole
                except ExportRefused:
                    found["refused"] += 1
                else:
                    assert same, (place, bit)
                    found["with the same content"] += 1
    assert found["with the same content"] < 2 * 8 * 10  # in the 10 bytes of gzip's own header
    told(figure, "flips in compressed files, found", found)


def test_every_cut_of_a_compressed_file_is_found(small: bytes, figure: Figure) -> None:
    packed = gzip.compress(small, mtime=0)
    for end in range(len(packed)):
        with pytest.raises(ExportRefused):
            read_export([packed[:end]])
    told(figure, "cuts of a compressed file, found", Counter(bytes=len(packed)))
