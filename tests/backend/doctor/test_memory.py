"""How much memory is left, of the machine or of the container that `doctor` runs in."""

import pytest

from backend.doctor.plugin import free_memory

MACHINE = "MemTotal:       16000000 kB\nMemAvailable:    8000000 kB\nHugePages_Total:       0\n"


@pytest.fixture
def left(tmp_path):
    """What is left by files such as Linux has: of the machine, and of a container."""

    def left(machine=MACHINE, **container):
        (tmp_path / "meminfo").write_text(machine)
        for name, text in container.items():
            (tmp_path / f"memory.{name}").write_text(text)
        return free_memory(tmp_path / "meminfo", tmp_path)

    return left


def test_without_a_container_the_machine_counts(left):
    assert left() == 8_000_000 * 1024


def test_a_container_without_a_limit_has_what_the_machine_has(left):
    assert left(max="max\n", current="1000\n", stat="inactive_file 7\n") == 8_000_000 * 1024


def test_the_limit_of_a_container_counts_where_it_is_less_and_files_kept_are_free(left):
    assert left(max="1000000\n", current="900000\n", stat="anon 5\ninactive_file 50000\n") == 150_000


@pytest.mark.parametrize("machine", ["", "MemAvailable: much\n", "nothing"])
def test_a_system_that_does_not_say_is_no_trouble(left, machine):
    assert left(machine) is None
