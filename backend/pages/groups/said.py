"""What became of a person's decisions, in sentences."""

from collections import Counter
from collections.abc import Sequence

from backend.pages.groups.decisions import Decision

TOLD = 5  # of the last decisions, those of which something is to be told


def told(recent: Sequence[tuple[Decision, bool]]) -> list[str]:
    """What became of the last decision, and of those shortly before it that are not written yet or failed; the newest first.

    recent: decisions, the newest first, each with whether it was undone.
    """
    return [
        sentence(decision, undone)
        for number, (decision, undone) in enumerate(recent[:TOLD])
        if number == 0 or is_pending(decision, undone) or (decision.failed and not undone)
    ]


def is_pending(decision: Decision, undone: bool) -> bool:
    """Whether something of it is still to be written, or to be taken back."""
    return not (decision.taken_back if undone else decision.ended)


def sentence(decision: Decision, undone: bool) -> str:
    """What became of one decision."""
    label, written = decision.group.label, len(decision.written)
    if undone and not decision.taken_back:
        return f"Taking back what was labelled {label}: {len(decision.undone)} of {written}."
    if undone:
        stays = _reasons(decision.stays)
        return f"Taken back: {_images(len(decision.undone))} labelled {label}." + (
            f" Not taken back: {stays}." if stays else ""
        )
    if not decision.ended:
        done = len(decision.tasks) - len(decision.open)
        return f"Writing: {done} of {len(decision.tasks)} as {label}."
    parts = [f"{_images(written)} labelled {label}."]
    if decision.left:
        parts.append(f"Left out: {_reasons(decision.left)}.")
    if rest := decision.open:
        reason = next(iter(decision.failed.values()), "").rstrip(".")
        parts.append(f"Not written, and offered again: {_images(len(rest))} ({reason}).")
    return " ".join(parts)


def _images(count: int) -> str:
    return f"{count} image{'' if count == 1 else 's'}"


def _reasons(of: dict[int, str]) -> str:
    """Each reason with how many images it holds for."""
    return ", ".join(f"{count} ({reason})" for reason, count in Counter(of.values()).most_common())
