"""The job that does what people wished for about accepting: ask for checks, accept labels, take them back.

Each wish can be begun anew at any point: what Label Studio holds already is not written again, and what it does not hold any
more is not deleted again.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from backend.index.index import ACCEPTED, UNLABELLED
from backend.jobs.job import JobAtWork, perform
from backend.jobs.publish import import_each, stored_predictions
from backend.labelstudio.accepted import VERSION, Mark, accepted_mark, marked
from backend.project.accepting import NotNow, freeze, usable
from backend.project.session import Session
from backend.project.validation import Frozen, Promise
from backend.records.wishes import ACCEPT, MOST_CHECKS, TAKE_BACK, VALIDATE, Wishes
from backend.status.accepting import accepted_text, asked_text, nothing_text

ANNOTATIONS = "annotations"  # what labels are accepted as; predictions otherwise
TOGETHER = 500  # predictions in one request
LISTED = 100  # tasks whose annotations are read in one request


def accept(project: int, generation: int) -> Any:
    """Work off what is wished for `project`. Returns what came of each wish, by its id."""
    return perform("accept", project, generation, _accept)


def _accept(at: JobAtWork) -> dict[str, str]:
    session, said = at.session, {}
    wishes = Wishes(session.documents)
    while waiting := wishes.waiting():
        wish, refused = waiting[0], False
        session.sync()
        try:
            said[wish["id"]] = ACTS[wish["act"]](session, wish)
        except NotNow as reason:
            said[wish["id"]], refused = str(reason), True
        wishes.settle(wish, said[wish["id"]], refused)
        if not refused:
            at.wake("reconcile")
        if not refused and wish["act"] != VALIDATE:
            at.wake("round")
    return said


def _validate(session: Session, wish: dict[str, Any]) -> str:
    """Ask people about `n` more images of the frozen head; of the newest where none is frozen, it is used up, or `anew`."""
    n, error = int(wish["n"]), float(wish["error"])
    if not 0 < n <= MOST_CHECKS or not 0 < error < 1:
        raise NotNow(f"n is {n}, error {error:g}: take 1 to {MOST_CHECKS} images, and an error above 0 and below 1.")
    frozen = session.validation.read()
    begun = frozen is not None and frozen.wish == wish["id"]  # before it was interrupted
    if frozen is None or frozen.used or (wish.get("anew") and not begun) or frozen.target != session.target.as_dict():
        frozen = freeze(session, error)
    before = frozen.asked
    frozen = session.validation.ask(frozen, n, wish["id"])
    if frozen.asked == before and not begun:
        raise NotNow(f"People are asked about all {before} images of {frozen.version} that are worth checking already.")
    return asked_text(frozen, n if begun else frozen.asked - before)


def _accept_labels(session: Session, wish: dict[str, Any]) -> str:
    """Accept what may be accepted now; what was begun is ended as it was decided then."""
    found = usable(session)
    decided = session.validation.decided(found.frozen)
    if decided is None:
        decision = found.decide(float(wish["error"]))
        if not len(decision.tasks):
            raise NotNow(nothing_text(session.project, decision, found.open_checks, float(wish["error"])))
        decided = session.validation.decide(
            found.frozen, decision.tasks.tolist(), float(wish["error"]), wish.get("form") == ANNOTATIONS
        )
    mark = Mark(found.frozen.version, decided.error)
    _predict(session, found.frozen, decided.tasks, mark)
    if decided.annotate:
        _annotate(session, decided.tasks)
    session.sync()
    there = {label.task for label in session.index.accepted.all()} & set(decided.tasks)
    promise = Promise(mark.version, mark.error, len(there), time.time())
    session.validation.set_promises([*session.validation.promises(), promise])
    session.validation.keep(replace(found.frozen, used=True))
    session.validation.forget_decided()
    return accepted_text(promise, decided.annotate)


def _predict(session: Session, frozen: Frozen, tasks: list[int], mark: Mark) -> None:
    """Write the labels as predictions, for those of `tasks` that nobody has answered and that have none."""
    population = session.validation.candidates(frozen)
    told = {
        task: (guess, confidence)
        for task, guess, confidence in zip(
            population.tasks.tolist(), population.guesses.tolist(), population.confidences.tolist(), strict=True
        )
    }
    stored = stored_predictions(session, VERSION)
    opened = set(session.index.tasks.of(UNLABELLED, ACCEPTED).tolist())
    missing = [task for task in tasks if task in opened and task not in stored]
    for done, part in _parts(missing, TOGETHER):
        session.progress("accepting labels", done, len(missing))
        predictions = []
        for task in part:
            guess, confidence = told[task]
            region = marked(session.target.region(session.target.classes[guess], confidence), mark)
            predictions.append({"task": task, "result": [region], "score": confidence, "model_version": VERSION})
        import_each(session, VERSION, predictions, lambda: None)


def _annotate(session: Session, tasks: list[int]) -> None:
    """Turn the predictions of `tasks` into annotations, as far as nobody has answered them."""
    session.sync()
    opened = set(session.index.tasks.of(ACCEPTED).tolist())
    left = [task for task in tasks if task in opened]
    for done, part in _parts(left, TOGETHER):
        session.progress("making annotations", done, len(left))
        session.label_studio.annotate_by_predictions(session.project, VERSION, part)


def _take_back(session: Session, _: dict[str, Any]) -> str:
    """Delete all that was accepted, annotations first, and nothing that a person has made or edited."""
    annotated = [label.task for label in session.index.accepted.all() if label.annotated]
    for done, part in _parts(annotated, LISTED):
        for task in session.label_studio.tasks_named(session.project, part):
            for annotation in task.get("annotations") or []:
                if accepted_mark(annotation):
                    _paced(session.label_studio.delete_annotation, annotation["id"])
        session.progress("taking annotations back", done + len(part), len(annotated))
    stored = [one for predictions in stored_predictions(session, VERSION).values() for one in predictions]
    for done, prediction in enumerate(stored):
        session.progress("taking predictions back", done, len(stored))
        _paced(session.label_studio.delete_prediction, prediction["id"])
    tasks = {label.task for label in session.index.accepted.all()}
    session.sync()
    session.validation.set_promises([])
    session.validation.forget_decided()
    if frozen := session.validation.read():
        session.validation.keep(replace(frozen, used=False))
    return f"{len(tasks)} accepted labels were taken back; what people have labelled or edited stays." if tasks else NOTHING


def _paced(delete: Callable[[int], None], number: int) -> None:
    """Delete one, and rest as long as that took, so that no annotator waits for it."""
    started = time.monotonic()
    delete(number)
    time.sleep(time.monotonic() - started)


def _parts(tasks: list[int], size: int) -> Iterator[tuple[int, list[int]]]:
    """`tasks` in parts, each with how many came before it."""
    return ((start, tasks[start : start + size]) for start in range(0, len(tasks), size))


NOTHING = "Nothing is accepted: there is nothing to take back."
ACTS: dict[str, Callable[[Session, dict[str, Any]], str]] = {
    VALIDATE: _validate,
    ACCEPT: _accept_labels,
    TAKE_BACK: _take_back,
}
