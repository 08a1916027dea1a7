"""How soon the queue follows the last Submit of a round, with everything on one machine."""

import statistics
import time
from collections.abc import Iterator

from backend.bench.figures import Bench, Row
from backend.bench.house import RETRAIN_AFTER, House

HOUSE = True
ROWS = ("submit.median", "submit.longest")
ROUNDS = 8
GOAL = 1.5
DEADLINE = 120.0


def measure(bench: Bench, house: House) -> Iterator[Row]:
    """Seconds from the answer to the last Submit until the project follows a version that has learned its label."""
    bench.say(f"  connected after {house.first_queue:.1f} s; {ROUNDS} rounds of {RETRAIN_AFTER} labels ...")
    house.settle()
    known = house.learned()
    seconds = [_round(house, known + number * RETRAIN_AFTER) for number in range(1, ROUNDS + 1)]
    against = (
        f"{len(house.photos):,} photos, {RETRAIN_AFTER} to {ROUNDS * RETRAIN_AFTER} labels, Label Studio on the same machine"
    )
    yield Row.at_most("submit.median", statistics.median(seconds), "s", against, GOAL)
    yield Row.at_most("submit.longest", max(seconds), "s", against)


def _round(house: House, labels: int) -> float:
    """Label on; the seconds after the last one until the queue follows a version that has learned all `labels`."""
    for _ in range(RETRAIN_AFTER):
        house.label_next()
    submitted = time.perf_counter()
    while house.learned() < labels:
        if time.perf_counter() - submitted > DEADLINE:
            raise RuntimeError(f"The queue did not follow within {DEADLINE:g} s")
        time.sleep(0.05)
    return time.perf_counter() - submitted
