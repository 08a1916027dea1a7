"""What `al-backend doctor` finds, link by link, as values and as lines."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from backend.doctor.case import House, Patient
from backend.doctor.examination import Progress, examine
from backend.doctor.finding import OK, WARNING, WRONG, Finding
from backend.doctor.links import OF_A_PROJECT, PROJECTS, SHARED
from backend.status.text import printable

LINK = 17  # columns of a link's name


def diagnose(house: House, project: int | None, fix: bool, progress: Progress) -> Iterator[Finding]:
    """A finding for each link: those that all projects share, then those of `project`, or of each connected one.

    Changes nothing, but with `fix` mends what can be mended. Raises nothing.
    """
    broken: set[str] = set()
    shared = SHARED if project is not None else (*SHARED, PROJECTS)
    yield from examine(shared, house, broken, (lambda: None) if fix else None, progress)
    for number in house.numbers if project is None else [project]:
        patient = Patient(house, number)
        for finding in examine(OF_A_PROJECT, patient, set(broken), patient.forget if fix else None, progress):
            yield replace(finding, project=number)


def line(finding: Finding) -> str:
    """A finding for people: its state, its link, what was seen, and the next step."""
    text = f"{finding.state:<8} {finding.link:<{LINK}} {finding.seen}"
    if finding.next_step and finding.state != OK:
        text = f"{text.rstrip('.')}. Next: {finding.next_step}"
    return printable(text)


def summary(findings: Sequence[Finding]) -> str:
    """The last line."""
    wrongs, warnings = ([f for f in findings if f.state == state] for state in (WRONG, WARNING))
    mended = sum(finding.mended for finding in findings)
    parts = [f"{mended} mended"] if mended else []
    parts += [f"{len(wrongs)} wrong"] if wrongs else []
    parts += [f"{len(warnings)} warning{'' if len(warnings) == 1 else 's'}"] if warnings else []
    told = ", ".join(parts) or "All is well"
    fixable = sum(finding.fix is not None for finding in (*wrongs, *warnings))
    return f"{told}; --fix can mend {fixable} of them." if fixable else f"{told}."
