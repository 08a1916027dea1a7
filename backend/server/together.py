"""Doing at once what many requests ask for at the same time."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from fastapi.concurrency import run_in_threadpool

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class Together(Generic[Asked, Answer]):
    """Calls `act` in a thread, one call at a time, each with everything that was asked while the last one ran.

    So whatever `act` waits for, such as Redis, is waited for once by all, and the event loop never waits. `act` returns an
    answer for each thing asked, or an exception in its place; what it raises is raised for all of them. What was asked while
    such a call ran is answered with the same: where Redis hangs, nobody waits for it twice.
    """

    def __init__(self, act: Callable[[Sequence[Asked]], Sequence[Answer | Exception]]) -> None:
        self._act = act
        self._waiting: list[tuple[Asked, asyncio.Future[Answer]]] = []
        self._runner: asyncio.Task[None] | None = None

    async def ask(self, asked: Asked) -> Answer:
        """The answer to `asked`. To be called in the event loop."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, future))
        if self._runner is None:
            self._runner = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                try:
                    answers = await run_in_threadpool(self._act, [asked for asked, _ in batch])
                except Exception as error:  # noqa: BLE001  raised again in each request
                    batch, self._waiting = batch + self._waiting, []
                    answers = [error] * len(batch)
                for (_, future), answer in zip(batch, answers, strict=True):
                    _settle(future, answer)
        finally:
            self._runner = None


def _settle(future: "asyncio.Future[Answer]", answer: Answer | Exception) -> None:
    if future.done():  # its request is gone
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
