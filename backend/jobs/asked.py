"""Asking one person more: about images over which annotators are evenly divided, and about those that somebody is unsure of.

Label Studio itself keeps who is asked: such a task has a higher `overlap` than its project, and is not `is_labeled`. So nothing
is remembered here, and what people change there holds. A project of one person a task serves by the queue alone, so an asked
task needs a prediction of the live version, which stands before all others; it carries no pre-annotation, which would sway.
"""

from collections.abc import Callable

import numpy as np

from backend.jobs.publish import publish_more
from backend.labelstudio.client import LabelStudioError
from backend.learning.places import LAST
from backend.learning.rounds import Ranking
from backend.project.consensus import TIE
from backend.project.session import Session

MOST_MORE = 3  # people beyond what the project wants, that a task is given to by itself: some images nobody can tell
FIRST = 0.0  # places of the queue lie above
NOBODY_ELSE = "ties_alone"  # the index's note of how many ties nobody else can settle


def ask_about_ties(session: Session, check: Callable[[], None]) -> int:
    """Have one person more asked about each tie that is closed; returns about how many. Nothing where all that there are have
    answered, which is noted for `status`. Raises LabelStudioError where Label Studio is out of order."""
    wanted = [session.index.answers.wanted(task) for task in session.index.troubled(TIE)]
    ties = [tie for tie in wanted if tie and not tie.is_open and tie.people < _usual(session) + MOST_MORE]
    people = session.label_studio.people() if ties else None
    asked = alone = 0
    for tie in ties:
        answers = session.index.answers.of(tie.task)
        given = {answer.person for answer in answers if not answer.skipped}
        if people is not None and not people.keys() - {answer.person for answer in answers}:
            alone += 1
            continue
        check()
        try:
            session.label_studio.ask_more(tie.task, max(tie.people, len(given)) + 1)
        except LabelStudioError as error:
            if not 400 <= error.status < 500 or error.status in (401, 429):
                raise
        else:
            asked += 1
    session.index.set_note(NOBODY_ELSE, str(alone) if alone else "")
    if asked:
        session.sync()
    return asked


def serve_asked(session: Session, version: str, check: Callable[[], None]) -> int:
    """Put the tasks that one person more is asked about before the queue of `version`; returns how many were not there yet."""
    published = session.index.published(version)
    missing = [task for task in asked_tasks(session) if published.get(task, LAST) > FIRST]
    return publish_more(session, version, _ranking(missing), check) if missing else 0


def behind_asked(session: Session, ranking: Ranking) -> Ranking:
    """`ranking`, which has none of them, behind the tasks that one person more is asked about."""
    first = _ranking(asked_tasks(session))
    told = ranking.probabilities
    if told is not None:
        told = np.concatenate([np.zeros((len(first.tasks), told.shape[1]), np.float32), told])
    tasks, places = np.append(first.tasks, ranking.tasks), np.append(first.places, ranking.places)
    return Ranking(tasks, places, np.append(first.slots, ranking.slots), told)


def _ranking(tasks: list[int]) -> Ranking:
    """All of `tasks` at the place FIRST, without a guess, as random slots are."""
    return Ranking(np.array(tasks, np.int64), np.full(len(tasks), FIRST), np.ones(len(tasks), bool), None)


def asked_tasks(session: Session) -> list[int]:
    """Tasks that somebody has answered, and that Label Studio asks more people about than the project's others."""
    return session.index.answers.half_labelled(_usual(session))


def _usual(session: Session) -> int:
    """How many people the project wants for each task."""
    return max(int(session.info.get("maximum_annotations") or 1), 1)
