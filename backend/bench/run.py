"""Which measures there are, and running them: each in a process of its own, so that none pays for another's memory, threads or
fault."""

import importlib
import logging
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from backend.bench.figures import Bench, BenchError, Row, Skipped, asks_for

log = logging.getLogger(__name__)
ROOM = "backend.bench"
MEASURES = {
    "embed": "photos a second, from JPEG bytes to stored embeddings",
    "connect": "`connect` to the first queue, with 1,000 photos and with 100,000 tasks",
    "requeue": "new labels to a ranked, versioned queue, over the network on every image",
    "submit": "the last Submit of a round to the switched queue",
    "predict": "/predict of one task and of many",
    "webhook": "50 webhooks at once while a worker trains",
    "start": "a cold server to its first answer, an enqueued job to its first act",
    "strategies": "each query strategy on a large made-up pool",
    "scale": "a round, a refill and status at up to a million images, with their memory; only when asked for",
    "postgres": "100,000 tasks in a Label Studio on PostgreSQL; only when asked for",
}  # modules of this room, and what each measures, for the help


@dataclass(frozen=True)
class Outcome:
    """What a measure came to. failed: why rows are missing, "" where none is."""

    rows: tuple[Row, ...] = ()
    failed: str = ""
    skipped: str = ""


def chosen(
    only: Sequence[str], networks: Iterable[str], room: str = ROOM, measures: Sequence[str] = tuple(MEASURES)
) -> list[str]:
    """The measures that hold a row asked for by `only`; where it is empty all but those with `ON_REQUEST = True`. `networks`
    are those whose speed is measured. Raises BenchError on a name that asks for nothing."""
    modules = {name: importlib.import_module(f"{room}.{name}") for name in measures}
    rows = {name: rows_of(module, networks) for name, module in modules.items()}
    for asked in only:
        if not any(asks_for(asked, row) for names in rows.values() for row in names):
            listed = "\n".join(f"  {name}: {', '.join(row.partition('.')[2] for row in rows[name])}" for name in rows)
            raise BenchError(
                f"--only {asked} is neither a measure nor the beginning of a row's name, MEASURE.ROW. There are\n{listed}"
            )
    if not only:
        return [name for name, module in modules.items() if not getattr(module, "ON_REQUEST", False)]
    return [name for name in rows if any(asks_for(asked, row) for asked in only for row in rows[name])]


def rows_of(measure: Any, networks: Iterable[str]) -> tuple[str, ...]:
    """The names of all rows of the module `measure`."""
    rows: tuple[str, ...] = measure.rows_of(networks) if hasattr(measure, "rows_of") else measure.ROWS
    return rows


def run(bench: Bench, names: Sequence[str], room: str = ROOM) -> dict[str, Outcome]:
    """Run the measures `names`, one after the other, telling how far it is; what each came to."""
    shared = [name for name in names if getattr(importlib.import_module(f"{room}.{name}"), "HOUSE", False)]
    groups = [[name] for name in names if name not in shared] + ([shared] if shared else [])
    outcomes: dict[str, Outcome] = {}
    for group in groups:
        with (
            tempfile.TemporaryDirectory(prefix="al-bench-", dir=bench.folder, ignore_cleanup_errors=True) as folder,
            ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process,
        ):
            try:
                outcomes |= process.submit(_measure_all, room, group, replace(bench, folder=Path(folder))).result()
            except BrokenProcessPool:
                outcomes |= dict.fromkeys(group, Outcome(failed="its process was killed: out of memory?"))
        for name in group:
            found = outcomes[name]
            if found.failed or found.skipped:
                bench.say(f"{name}: {f'failed: {found.failed}' if found.failed else f'skipped: {found.skipped}'}")
    return {name: outcomes[name] for name in names}


def _measure_all(room: str, names: Sequence[str], bench: Bench) -> dict[str, Outcome]:
    """Run measures in this process; those that need a Label Studio share one."""
    outcomes = {}
    with ExitStack() as held:
        house: list[Any] = []  # once it stands
        for name in names:
            bench.say(f"{name} ...")
            outcomes[name] = _measure(importlib.import_module(f"{room}.{name}"), bench, house, held)
    return outcomes


def _measure(measure: Any, bench: Bench, house: list[Any], held: ExitStack) -> Outcome:
    """Run one measure."""
    rows: list[Row] = []
    promised = rows_of(measure, bench.backbones)
    try:
        if getattr(measure, "HOUSE", False) and not house:
            from backend.bench.house import open_house

            house.append(held.enter_context(open_house(bench)))
        for row in measure.measure(bench, *house):
            if row.name not in promised:
                raise BenchError(f"{row.name} is none of the rows that {measure.__name__} promises")
            if bench.wants(row.name):
                rows.append(row)
    except Skipped as reason:
        return Outcome(tuple(rows), skipped=str(reason))
    except BenchError as error:
        return Outcome(tuple(rows), failed=str(error))
    except Exception as error:  # whatever it is, it costs this measure alone
        log.exception("%s", measure.__name__)
        return Outcome(tuple(rows), failed=f"{type(error).__name__}: {error}")
    return Outcome(tuple(rows))
