"""What there is to know of accepting labels: how far checks are, and what people say of accepted ones."""

from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.index.index import Index
from model.storage.documents import Documents

if TYPE_CHECKING:  # these bring scipy, which the help of commands does without
    from backend.learning.promise import Decision
    from backend.project.validation import Frozen, Promise

NONE: dict[str, Any] = {"checks": None, "audits": {"answered": 0, "wrong": 0, "promised": 0.0, "contradicted": False}}


def accepting_values(documents: Documents, index: Index) -> dict[str, Any]:
    """checks: of the frozen head its version, the images asked about and those answered, how many it could label itself `now`,
    and which `step` of more checks would allow more; None where none is frozen; audits: what people said of accepted images
    that they were asked about. Raises IndexUnavailable."""
    from backend.project.validation import Validation, look

    seen, checks = look(Validation(documents), index.tasks), None
    if seen and not seen.frozen.used:
        frozen = seen.frozen
        decision = seen.decide(frozen.error)
        step = decision.plan[0] if decision.plan else None
        checks = {
            "version": frozen.version,
            "error": frozen.error,
            "asked": frozen.asked,
            "answered": seen.said.done,
            "now": len(decision.tasks),
            "step": {"checks": step.checks, "images": step.images} if step else None,
        }
    return {"checks": checks, "audits": audit_values(index)}


def audit_values(index: Index) -> dict[str, Any]:
    """answered: accepted images that people were asked about and have labelled; wrong: those with another label; promised: the
    share of wrong ones that is; contradicted: whether that cannot be by chance."""
    from backend.learning.audit import audited, contradicts

    accepted = index.accepted.all()
    if not accepted:
        return dict(NONE["audits"])
    given = index.tasks.labels()
    is_asked = audited(np.array([label.task for label in accepted], np.int64)).tolist()
    judged = [label for label, asked in zip(accepted, is_asked, strict=True) if asked and label.task in given]
    wrong = sum(given[label.task] != label.label for label in judged)
    promised = fmean(label.error for label in judged or accepted)
    told = {"answered": len(judged), "wrong": wrong, "promised": promised}
    return told | {"contradicted": contradicts(wrong, len(judged), promised)}


def checks_text(checks: dict[str, Any]) -> str:
    """How far the checks are, in a few words."""
    return f"{checks['answered']} of {checks['asked']} images are checked that {checks['version']} was frozen for"


def audit_text(project: int, audits: dict[str, Any]) -> str:
    """The warning that people's answers contradict a promise, "" where they do not."""
    if not audits["contradicted"]:
        return ""
    return (
        f"of {audits['answered']} accepted images that people were asked about, {audits['wrong']} are wrong: more than "
        f"the promised {percent(audits['promised'])} explain. `al-backend accept --project {project} --take-back` takes "
        "all of them back"
    )


def asked_text(frozen: "Frozen", more: int) -> str:
    """What `validate` did."""
    return (
        f"{images(more)} of which {frozen.version} is sure come next in the queue, without a guess; {frozen.asked} are "
        "asked about in all. Label them, then see what may be accepted."
    )


def accepted_text(promise: "Promise", as_annotations: bool) -> str:
    """What `accept` did."""
    kind = "annotations" if as_annotations else "predictions"
    return f"{images(promise.images)} accepted as {kind} by {promise.version}: {promised_text(promise.error)}."


def decision_text(decision: "Decision", error: float) -> str:
    """What may be accepted, and what that promises."""
    expected = f"{percent(decision.expected)} are expected to be"
    return f"{images(len(decision.tasks))} may be accepted: {promised_text(error)}; {expected}"


def promised_text(error: float) -> str:
    """The promise."""
    return f"at most {percent(error)} of them are labelled wrongly, with 95 % confidence"


def nothing_text(project: int, decision: "Decision", open_checks: int, error: float) -> str:
    """Why nothing may be accepted, and what to do."""
    waiting = f", and {images(open_checks)} wait to be" if open_checks else ""
    begin = f"Nothing can be accepted yet at {percent(error)} wrong: {images(decision.checks)} checked{waiting}."
    return f"{begin} {plan_text(project, decision, open_checks)}"


def plan_text(project: int, decision: "Decision", open_checks: int) -> str:
    """How many more checks would allow how many images, with the command."""
    validate = f"`al-backend validate --project {project}"
    if not decision.plan:
        return f"No number of checks would allow any: label on, then {validate} --anew` freezes the newest version."
    step = decision.plan[0]
    rest = step.checks - open_checks
    how = f"{validate} --n {rest}` asks for them" if rest > 0 else "they are asked for already"
    return f"About {step.checks:,} more checks would allow {images(step.images)}: {how}."


def images(count: int) -> str:
    """So many images."""
    return f"{count:,} image{'' if count == 1 else 's'}"


def percent(share: float) -> str:
    """A share for people."""
    return f"{100 * share:.2g} %"
