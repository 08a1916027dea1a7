"""Asking one person more: about images over which annotators are evenly divided, about those that somebody is unsure of, and
about labels that one person gave and that are likely wrong.

Label Studio itself keeps who is asked: such a task has a higher `overlap` than its project, and is not `is_labeled`. So nothing
is remembered here, and what people change there holds. A project of one person a task serves by the queue alone, so an asked
task needs a prediction of the live version, which stands before all others; it carries no pre-annotation, which would sway.
"""

from collections.abc import Callable, Collection

import numpy as np

from backend.index.answers import Wanted
from backend.index.consensus import TIE
from backend.index.weighing import doubtful_tasks
from backend.jobs.publish import publish_more
from backend.labelstudio.client import LabelStudioError
from backend.learning.places import LAST
from backend.learning.rounds import Ranking
from backend.learning.weighing import AT_MOST
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
    known = [tie for tie in ties if _somebody_else(session, tie.task, people)]
    asked = sum(_ask(session, tie, check) for tie in known)
    alone = len(ties) - len(known)
    session.index.set_note(NOBODY_ELSE, str(alone) if alone else "")
    if asked:
        session.sync()
    return asked


def has_doubtful(session: Session) -> bool:
    """Whether somebody else is to be asked about labels that are likely wrong."""
    return bool(_doubtful(session))


def ask_about_doubts(session: Session, check: Callable[[], None]) -> int:
    """Have somebody else who labels here asked about the labels that one person gave and that are most likely wrong; returns
    about how many. Raises LabelStudioError where Label Studio is out of order."""
    doubtful, labelling = _doubtful(session), session.index.answers.people()
    people = session.label_studio.people() if doubtful else None
    here = labelling if people is None else labelling & people.keys()
    known = [wanted for wanted in doubtful if _somebody_else(session, wanted.task, here)]
    asked = sum(_ask(session, wanted, check) for wanted in known)
    if asked:
        session.sync()
    return asked


def _doubtful(session: Session) -> list[Wanted]:
    """The labels that somebody else is asked about next, as many as leave most answers of a round to new images. None where
    REASK is off, or one person alone labels; what people found right (`Right`) is not in doubt."""
    if session.settings.reask == "off" or session.target.SEVERAL or len(session.index.answers.people()) < 2:
        return []
    room = int(AT_MOST * session.settings.retrain_after) - len(asked_tasks(session))
    right = session.right.labels()
    doubtful = [wanted for wanted in doubtful_tasks(session.index, _usual(session)) if wanted.task not in right]
    return doubtful[: max(room, 0)]


def _somebody_else(session: Session, task: int, people: Collection[int] | None) -> bool:
    """Whether one of `people` has not answered `task`; taken for granted where they cannot be listed."""
    return people is None or bool(set(people) - {answer.person for answer in session.index.answers.of(task)})


def _ask(session: Session, wanted: Wanted, check: Callable[[], None]) -> bool:
    """Have one person more asked about a task; False where Label Studio refuses that for this task alone."""
    given = {answer.person for answer in session.index.answers.of(wanted.task) if not answer.skipped}
    check()
    try:
        session.label_studio.ask_more(wanted.task, max(wanted.people, len(given)) + 1)
    except LabelStudioError as error:
        if not 400 <= error.status < 500 or error.status in (401, 429):
            raise
        return False
    return True


def serve_asked(session: Session, version: str, check: Callable[[], None]) -> int:
    """Put the tasks that one person more is asked about before the queue of `version`; returns how many were not there yet."""
    published = session.index.published.scores(version)
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
