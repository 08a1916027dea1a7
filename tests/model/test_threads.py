"""One thread for linear algebra, however many ask for it at once."""

import threading

from threadpoolctl import threadpool_info

from model.threads import one_thread


def threads():
    return [pool["num_threads"] for pool in threadpool_info()]


def test_there_is_one_thread_meanwhile_and_as_many_as_before_afterwards():
    before = threads()
    with one_thread():
        assert set(threads()) == {1}
    assert threads() == before


def test_an_error_gives_the_threads_back():
    before = threads()
    try:
        with one_thread():
            raise ValueError
    except ValueError:
        pass
    assert threads() == before


def test_two_that_ask_at_once_take_turns_and_leave_what_was_there_before():
    before, inside, entered = threads(), [], threading.Event()

    def other():
        entered.set()
        with one_thread():
            inside.append(threads())

    second = threading.Thread(target=other)
    with one_thread():
        second.start()
        entered.wait(10)
        second.join(0.1)
        assert not inside
    second.join(10)
    assert set(inside[0]) == {1}
    assert threads() == before
