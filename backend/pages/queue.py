"""What comes next to be labelled, as pictures: what the model thinks each is, why it is next, and which others are like it."""

from dataclasses import dataclass
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray
from starlette.responses import Response

from backend.labelstudio.several import NONE_OF_THESE
from backend.pages.kept import Kept, kept
from backend.pages.visit import Page, Visit
from backend.project.likeness import copy_distance, distances_to, near_copies, typical_of
from model.measuring.set_metrics import SURE, predicted_sets
from strategies import REASONS, REGISTRY

AT_ONCE = 2  # pages that read a whole pool's embeddings
SHOWN = 24  # images of the queue
LONGEST = 500  # images of a queue that are looked at for what each is typical of
COPIES_SHOWN = 12  # of one image
CLOSE = 0.3  # between the two best classes' probabilities, up to which the head is said to be uncertain between them
SLOT = "random slot"
BEHIND = "behind the queue, which is used up"


@dataclass(frozen=True)
class Picture:
    """An image of the queue. guess: its class, "" where nobody is to be told; copies: tasks of its near-copies, nearest first;
    more: how many of these are not among them; sent: whether a person sent it to the head."""

    task: int
    why: str
    guess: str = ""
    confidence: float = 0.0
    copies: tuple[int, ...] = ()
    more: int = 0
    sent: bool = False


def _queue(visit: Visit) -> Response:
    with kept(visit) as known:
        pictures = queued(known) if known else []
        coming, sent = (on_their_way(known), len(known.sent)) if known else (0, 0)
    copies = sum(len(p.copies) + p.more for p in pictures)
    return visit.page("queue.html", pictures=pictures, copies=copies, coming=coming, sent=sent, slot=SLOT)


def on_their_way(known: Kept) -> int:
    """How many images were sent to the head of the queue and do not stand there yet."""
    queue = [row.task for row, *_ in known.index.published.queue(known.live.name, LONGEST)]
    there = len(list(takewhile(known.sent.__contains__, queue)))
    return len(known.sent.keys() & set(known.index.tasks.pool()[0].tolist())) - there


def queued(known: Kept) -> list[Picture]:
    """The first SHOWN images of the queue that are not labelled yet, in the order in which Label Studio serves them."""
    entries = known.index.published.queue(known.live.name, LONGEST)
    values, found = known.store.get([row.key for row, *_ in entries])
    vectors, seed, head = values.astype(np.float32), known.live.name, known.live.head
    tasks, keys = known.index.tasks.pool()
    shown = entries[:SHOWN]
    tau = copy_distance(known.store, tasks, keys, head, seed)
    distances = distances_to(known.store, keys, vectors[:SHOWN])
    told = head is not None and head.separates  # else the queue goes by typicality
    typical = np.zeros(len(entries), np.int64) if told else typical_of(known.store, vectors, tasks, keys, seed)
    pictures = []
    for number, (row, place, is_slot) in enumerate(shown):
        near = near_copies(distances[:, number], keys, row.key, tau) if found[number] else np.zeros(0, np.int64)
        copies = tuple(tasks[near[:COPIES_SHOWN]].tolist())
        guess, confidence, why = "", 0.0, SLOT if is_slot else BEHIND if place >= 0.5 else ""
        if row.task in known.sent:
            why = f"sent by {known.sent[row.task]}" + (f"; a {SLOT} too" if is_slot else "")
        if told and head and found[number] and not is_slot:
            probabilities = head.probabilities(values[number : number + 1])[0]
            guess, confidence = _guess(known, probabilities)
            why = why or _why_uncertain(known, probabilities)
        why = why or _why_typical(known, int(typical[number]))
        pictures.append(Picture(row.task, why, guess, confidence, copies, len(near) - len(copies), row.task in known.sent))
    return pictures


def _guess(known: Kept, probabilities: NDArray[np.float32]) -> tuple[str, float]:
    """The class that is guessed and its probability; of several classes those that are ticked, and the lowest of these."""
    if not known.live.several:
        return known.live.classes[int(probabilities.argmax())], float(probabilities.max())
    ticked = np.flatnonzero(predicted_sets(probabilities))
    if not len(ticked):
        return NONE_OF_THESE, float(1 - probabilities.max())
    return ", ".join(known.live.classes[number] for number in ticked), float(probabilities[ticked].min())


def _why_uncertain(known: Kept, probabilities: NDArray[np.float32]) -> str:
    """ "uncertain between A and B" where the strategy asks the head and that is so; else ""."""
    strategy = REGISTRY.get(_base(known))
    if known.live.several:
        least = int(abs(probabilities - SURE).argmin())
        close = strategy and not strategy.headless and 2 * abs(probabilities[least] - SURE) <= CLOSE
        return f"uncertain whether it is {known.live.classes[least]}" if close and "strategy" not in known.state.errors else ""
    best = np.argsort(-probabilities)[:2].tolist()
    if not strategy or strategy.headless or "strategy" in known.state.errors or len(best) < 2:
        return ""
    first, second = (known.live.classes[number] for number in best)
    return f"uncertain between {first} and {second}" if probabilities[best[0]] - probabilities[best[1]] <= CLOSE else ""


def _why_typical(known: Kept, typical: int) -> str:
    """The general reason of the strategy that picked; before there are two classes that is TypiClust, with the number of images
    that an image is `typical` of."""
    base = _base(known)
    if "strategy" in known.state.errors:  # it failed, and picks are random meanwhile
        return REASONS["random"]
    if typical > 1 and not (base in REGISTRY and REGISTRY[base].headless and base != "typiclust"):
        return f"typical of about {typical} images without a label"
    return REASONS.get(base, f"picked by {known.live.strategy}")


def _base(known: Kept) -> str:
    """The name of the strategy that picked, without its wrappers."""
    return known.live.strategy.split("+")[0]


PAGES = (Page("/queue", _queue, at_once=AT_ONCE),)
