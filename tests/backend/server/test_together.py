"""What many requests ask for at the same time is done at once."""

import asyncio
import threading

import pytest

from backend.server.together import Together


class Act:
    """Doubles numbers; its first call waits to be let go, as one that waits for Redis does."""

    def __init__(self, error=None):
        self.calls, self.error = [], error
        self.free = threading.Event()

    def __call__(self, asked):
        self.calls.append(list(asked))
        if len(self.calls) == 1:
            self.free.wait(5)
            if self.error:
                raise self.error
        return [ValueError(f"{number} is odd") if number % 2 else 2 * number for number in asked]


async def ask_all(act, numbers):
    """Ask for the first number, for the others while that call runs, then let it go. The answers, exceptions among them."""
    together = Together(act)
    asking = [asyncio.create_task(together.ask(numbers[0]))]
    while not act.calls:
        await asyncio.sleep(0.001)
    asking += [asyncio.create_task(together.ask(number)) for number in numbers[1:]]
    await asyncio.sleep(0.01)
    act.free.set()
    return await asyncio.gather(*asking, return_exceptions=True)


def test_what_is_asked_while_a_call_runs_is_one_call_more():
    act = Act()
    assert asyncio.run(ask_all(act, [2, 4, 6, 8])) == [4, 8, 12, 16]
    assert act.calls == [[2], [4, 6, 8]]


def test_an_exception_in_place_of_an_answer_is_that_request_s_alone():
    answers = asyncio.run(ask_all(Act(), [2, 3, 4]))
    assert (answers[0], str(answers[1]), answers[2]) == (4, "3 is odd", 8)


def test_an_error_is_everyone_s_who_waited_and_nobody_waits_for_a_second_one():
    act = Act(ConnectionError("no answer"))
    assert [str(answer) for answer in asyncio.run(ask_all(act, [2, 4, 6]))] == ["no answer"] * 3
    assert len(act.calls) == 1


def test_after_an_error_it_goes_on():
    act = Act(ConnectionError("no answer"))

    async def twice():
        together = Together(act)
        act.free.set()
        with pytest.raises(ConnectionError):
            await together.ask(2)
        return await together.ask(4)

    assert asyncio.run(twice()) == 8


def test_a_request_that_is_given_up_holds_up_no_other():
    act = Act()

    async def give_up():
        together = Together(act)
        first, second = asyncio.create_task(together.ask(2)), asyncio.create_task(together.ask(4))
        while not act.calls:
            await asyncio.sleep(0.001)
        first.cancel()
        act.free.set()
        return await second

    assert asyncio.run(give_up()) == 8


def test_the_loop_goes_on_while_a_call_waits():
    act = Act()

    async def beside():
        together = Together(act)
        asking = asyncio.create_task(together.ask(2))
        while not act.calls:
            await asyncio.sleep(0.001)
        await asyncio.wait_for(asyncio.sleep(0), 1)
        assert not asking.done()
        act.free.set()
        return await asking

    assert asyncio.run(beside()) == 4
