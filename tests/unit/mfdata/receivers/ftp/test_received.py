"""What a client has sent is remembered for a moment, as long as it is connected."""

from __future__ import annotations

from mfdata.receivers.ftp.received import MOMENT, MOST, Memories, Memory


def test_a_file_is_remembered_for_a_moment() -> None:
    now = [0.0]
    memory = Memory(lambda: now[0])
    memory.remember("/in/a", 7)
    assert memory.set_changed("/in/a", 12.0)
    now[0] = MOMENT - 1
    found = memory.find("/in/a")
    assert found is not None
    assert (found.size, found.changed, memory.names()) == (7, 12.0, {"a"})
    now[0] = MOMENT
    assert (memory.find("/in/a"), memory.names()) == (None, set())
    assert not memory.set_changed("/in/a", 12.0)


def test_a_rename_keeps_the_time_that_the_client_has_set() -> None:
    memory = Memory()
    memory.remember("/in/a.tmp", 7)
    memory.set_changed("/in/a.tmp", 12.0)
    memory.rename("/in/a.tmp", "/in/a", 7)
    found = memory.find("/in/a")
    assert found is not None
    assert (found.changed, memory.find("/in/a.tmp")) == (12.0, None)


def test_only_the_last_files_are_remembered() -> None:
    memory = Memory()
    for count in range(MOST + 5):
        memory.remember(str(count), count)
    assert memory.find("4") is None
    assert memory.find("5") is not None


def test_connections_of_one_client_share_a_memory_that_ends_with_the_last() -> None:
    memories = Memories()
    one, two, other = (memories.join(*who) for who in (("u", "::1"), ("u", "::1"), ("u", "::2")))
    assert one is two
    assert one is not other
    memories.leave(one)
    assert memories.join("u", "::1") is two
    memories.leave(two)
    memories.leave(two)
    assert memories.join("u", "::1") is not two


def test_a_client_that_comes_back_at_once_finds_its_memory() -> None:
    now = [0.0]
    memories = Memories(3.0, lambda: now[0])
    memory = memories.join("u", "::1")
    now[0] = 10.0
    memory.remember("/in/a", 7)
    memories.leave(memory)
    now[0] = 12.0
    assert memories.join("u", "::1") is memory
    memories.leave(memory)
    now[0] = 13.0
    assert memories.join("u", "::1") is not memory
