"""What several people's answers still wait for: tasks that fewer have answered than are wanted, and ties."""

from backend.index.consensus import TIE
from backend.index.index import LABELLED, Index

NOBODY = {"half_labelled": 0, "ties_asked": 0, "ties_alone": 0}


def people_values(index: Index) -> dict[str, int]:
    """half_labelled: tasks that teach with fewer answers than are wanted; ties_asked: ties about which one person more is
    asked; ties_alone: those that nobody else can settle. Raises IndexUnavailable."""
    half, ties = set(index.answers.half_labelled()), set(index.troubled(TIE))
    alone = index.note("ties_alone")
    return {
        "half_labelled": sum(state == LABELLED for state, _ in index.tasks.known(half).values()),
        "ties_asked": len(half & ties),
        "ties_alone": min(int(alone), len(ties - half)) if alone.isdigit() else 0,
    }


def people_text(values: dict[str, int]) -> str:
    """The same for people, "" where nothing waits."""
    half, asked, alone = values["half_labelled"], values["ties_asked"], values["ties_alone"]
    parts = []
    if half:
        them, labels = ("them", "their labels") if half > 1 else ("it", "its label")
        parts.append(f"{half} labelled by fewer people than wanted: the model learns from {them}, {labels} may still change")
    if asked:
        parts.append(f"{_ties(asked)} about which one person more is asked")
    if alone:
        parts.append(
            f"{_ties(alone)} that nobody else of Label Studio's people can settle: invite somebody, or mark an annotation as "
            "ground truth"
        )
    return "; ".join(parts)


def _ties(count: int) -> str:
    return f"{count} tie{'' if count == 1 else 's'}"
