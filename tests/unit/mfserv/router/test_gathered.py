from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mfserv.router.gathered import Gathered, Room


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 300_000])
@pytest.mark.parametrize("step", [1_000, 65_536])
def test_what_was_gathered_is_read_in_order(tmp_path: Path, size: int, step: int) -> None:
    async def gathered() -> bytes:
        room = Room(tmp_path)
        one = Gathered(room, b"a")
        for at in range(0, size, step):
            await one.add(whole[at : at + step])
        assert room.used.total() == (size if size > 65_536 else 0)
        one.rewind()
        found = b""
        while piece := await one.next():
            found += piece
        one.drop()
        one.drop()
        assert not room.used
        return found

    whole = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    assert asyncio.run(gathered()) == whole
    assert not list(tmp_path.iterdir())


def test_one_address_may_have_a_quarter_of_the_room(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.take(b"a", 25)
    assert (room.is_there(b"a", 100), room.is_there(b"b", 100)) == (False, True)
    for other in (b"b", b"c", b"d"):
        room.take(other, 25)
    assert not room.is_there(b"e", 100)
    room.take(b"b", -25)
    assert room.is_there(b"e", 100)
