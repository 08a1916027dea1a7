"""Listing tasks page by page, past those few that Label Studio itself cannot list.

It answers 500 for a whole page where one task's data cannot be encoded, such as half of a UTF-16 pair. Such a page is asked for
in ever smaller ones, until the task that cannot be listed stands alone and costs itself alone.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from backend.labelstudio.errors import LabelStudioError

SIZES = (500, 100, 20, 4, 1)  # tasks a page: with annotations, sqlite fails on 1000 ("Expression tree is too large")
PAGE = SIZES[0]
MOST_LOST = 20  # tasks of one page: if there are more, it is not the tasks that are at fault

Ask = Callable[[int, int], list[Any]]  # (number of the page from 1, tasks a page) -> its tasks; raises LabelStudioError


@dataclass(frozen=True)
class Listing:
    """One listing of tasks in a fixed order.

    patiently: asks for a page, and again while Label Studio is busy; once: asks only once; ids: asks for the tasks' ids alone;
    outage: why Label Studio as a whole does not answer, None where it does.
    """

    patiently: Ask
    once: Ask
    ids: Ask
    outage: Callable[[], LabelStudioError | None]

    def pages(self, lost: dict[int, str]) -> Iterator[list[Any]]:
        """The tasks, page by page; those that cannot be listed go into `lost` by their id, with the reason instead."""
        number = 0
        while True:
            number += 1
            before = len(lost)
            try:
                found = self.patiently(number, PAGE)
            except LabelStudioError as error:
                if error.status == 404 and number > 1:  # past the end: the last page was full
                    return
                if not _may_be_of_one_task(error) or self.outage():
                    raise
                found = self._narrow_down(number, lost)
            yield found
            if len(found) + len(lost) - before < PAGE:
                return

    def _narrow_down(self, number: int, lost: dict[int, str]) -> list[Any]:
        """The tasks of page `number`, which cannot be listed as a whole."""
        failed, left = len(lost), [(number, 0)]
        found: list[Any] = []
        while left:
            number, level = left.pop()
            size = SIZES[level]
            try:
                if level:
                    found += (self.once if size > 1 else self.patiently)(number, size)
                    continue
            except LabelStudioError as error:
                if error.status == 404:  # past the end
                    continue
                if not _may_be_of_one_task(error):
                    raise
                if size == 1:
                    if len(lost) - failed >= MOST_LOST or self.outage():
                        raise
                    for task in self.ids(number, 1):
                        lost[task["id"]] = (
                            f"Label Studio cannot list it, it answers {error.status}: see which of its data is odd"
                        )
                    continue
            parts = size // SIZES[level + 1]
            left += [(parts * (number - 1) + part, level + 1) for part in range(parts, 0, -1)]
        return found


def _may_be_of_one_task(error: LabelStudioError) -> bool:
    """Whether what one task holds may be at fault: Label Studio failed over its answer, or the answer cannot be read."""
    return error.status in (200, 500)
