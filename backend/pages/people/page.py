"""The page that tells who labels how much, and how far people agree. Behind a login, since it names people."""

from starlette.responses import Response

from backend.index.agreement import agreement
from backend.index.weighing import people_right
from backend.pages.people.names import names_for
from backend.pages.visit import Page, Visit
from backend.project.shared_index import known_index
from backend.status.people import NOBODY, people_text, people_values
from model.measuring.agreement import Alpha

AT_ONCE = 2  # pages that read every answer of a project
RELIABLE, TENTATIVE = 0.8, 0.667  # alpha from which on conclusions hold, and hold for the moment (Krippendorff 2004)
FEW = 20  # compared tasks, below which a share is hardly a figure


def _people(visit: Visit) -> Response:
    answers, waits, right = [], NOBODY, dict[int, float]()
    with known_index(visit.house.projects, visit.project or 0) as index:
        if index:
            answers, waits, right = index.answers.all(), people_values(index), people_right(index)
    names, found = names_for(visit), agreement(answers, sorted({a.choice for a in answers if a.choice is not None}))
    shown = [(names.of(one.person), one) for one in found.annotators if names.sees(one.person)]
    return visit.page(
        "people.html",
        alpha=found.alpha,
        verdict=_verdict(found.alpha) if found.alpha else "",
        annotators=shown,
        right=right,
        hidden=len(found.annotators) - len(shown),
        disagreements=len(found.disagreements),
        waits=people_text(waits),
        few=FEW,
    )


def _verdict(alpha: Alpha) -> str:
    """What Krippendorff's alpha lets one do, after Krippendorff, as far as its interval tells."""
    low, high = alpha.interval
    if low >= RELIABLE:
        return "reliable: people agree on what the classes mean"
    if high < TENTATIVE:
        return "too low to rely on: say more clearly what the classes mean, and look at what people disagree about"
    if low >= TENTATIVE:
        return "enough for first conclusions: look at what people disagree about"
    return "too few images with several answers to tell whether that is enough"


PAGES = (Page("/people", _people, at_once=AT_ONCE),)
