"""Whether a project is to come from its live version's backbone to another base, and what is remembered of the way.

`ProjectState.migration` holds, while it is under way, what `about` says, "upgrade", how many images are "done" of a "total" and
"lost", the number of which the live backbone has an embedding and the wanted base can have none. Once it is decided, it holds
what `Outcome` has. A base that was not taken is not tried again until the labels have doubled, or another is wanted.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

from backend.index.index import LABELLED
from backend.project.session import Session
from model.backbone_note import BackboneNote, title_of
from model.networks.backbone import backbone_name

AGAIN = 2  # times the labels there were when a base was not taken, from which on it is judged once more


@dataclass(frozen=True)
class Way:
    """From the backbone `live` to the wanted base, by their names. upgrade: it has the same network and weights, and only its
    preprocessing or arithmetic are others, as after an upgrade of this software."""

    live: str
    wanted: str
    upgrade: bool


@dataclass(frozen=True)
class Outcome:
    """What came of a migration to the base `backbone`, with so many labels. title: what people call it; wish: what they type.

    promoted: rounds are to use it; forced: because somebody said so; upgrade: see Way; kept: the older version that somebody
    put the queue back to instead; gone: what people call the live backbone, where its weights are not here any more.
    n, effective, live, new, probability, interval, unlabelled: see Comparison; None and 0 where nothing was compared.
    """

    backbone: str
    title: str
    wish: str
    promoted: bool
    labels: int
    forced: bool = False
    upgrade: bool = False
    kept: str = ""
    gone: str = ""
    n: int = 0
    effective: float = 0.0
    live: float | None = None
    new: float | None = None
    probability: float | None = None
    interval: tuple[float, float] | None = None
    unlabelled: bool = False

    def as_dict(self) -> dict[str, Any]:
        """All fields as plain values for JSON."""
        return asdict(self)


def way_to_go(s: Session) -> Way | None:
    """The way that the project has to go, None where there is none: it has no version yet, which will take the wanted base
    anyway, or has the wanted base already, or another one waits for its first round, or the wanted one was not taken lately."""
    state, wanted = s.state, s.backbones.wanted_name
    live = s.learned.backbone_of(state.live)
    if not state.live or state.promoting or s.learned.is_wanted(live):
        return None
    outcome = state.migration
    refused = outcome.get("backbone") == wanted and outcome.get("promoted") is False and not state.forced
    if refused and s.index.counts()[LABELLED] < AGAIN * outcome["labels"]:
        return None
    spec, base = s.backbones.spec(live), s.backbones.wanted
    alike = replace(spec, preprocessing=base.preprocessing, arithmetic=base.arithmetic)
    return Way(live, wanted, upgrade=backbone_name(alike) == wanted)


def settle(s: Session) -> None:
    """Where the live backbone is what is wanted, forget a wish that was given up on the way, and that it was to be by force."""
    state = s.state
    arrived = state.live and not state.promoting and s.has_wanted and s.learned.is_wanted(s.learned.backbone_of(state.live))
    on_the_way = state.migration and "promoted" not in state.migration
    if arrived and (state.forced or on_the_way):
        with s.edit() as state:
            state.forced, state.migration = False, {} if on_the_way else state.migration


def keep_instead(s: Session, version: str) -> None:
    """Somebody put the queue back to `version`: where its backbone is not the wanted one, that is not to be undone."""
    if s.learned.is_wanted(s.learned.backbone_of(version)):
        return
    with s.edit() as state:
        state.migration, state.forced = Outcome(**about(s), promoted=False, kept=version).as_dict(), False


def taken_unjudged(s: Session) -> dict[str, Any]:
    """The Outcome where a round takes the wanted base because the weights of the live version's backbone are gone, so that new
    images cannot be embedded with it; empty where they are here, or another one waits for its first round."""
    gone = "" if s.state.promoting else s.learned.gone(s.state.live)
    if not gone:
        return {}
    note = s.backbones.note(gone) or BackboneNote()
    title = title_of(note.network, note.weights)
    return Outcome(**about(s), promoted=True, gone=f"the retrained {title}" if note.depth else title).as_dict()


def about(s: Session) -> dict[str, Any]:
    """What an Outcome says of the wanted base and of the labels, whatever comes of it."""
    base = s.backbones.wanted
    return {
        "backbone": s.backbones.wanted_name,
        "title": title_of(base.network, str(base.weights or "")),
        "wish": s.state.backbone or s.settings.backbone,
        "labels": s.index.counts()[LABELLED],
    }
