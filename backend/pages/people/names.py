"""What a project's annotators are called, as far as whoever looks may know it."""

import time
from dataclasses import dataclass

from backend.labelstudio.client import called
from backend.network.transport import request_within
from backend.pages.accounts import ASK_SECONDS
from backend.pages.visit import Visit

UNKNOWN = "somebody whom Label Studio does not name"


@dataclass(frozen=True)
class Names:
    """names: what people are called by their ids; me: who looks; sees_all: whether this person may list the others.

    Label Studio decides that: its community edition lets everybody list all, Enterprise only those who run projects.
    """

    names: dict[int, str]
    me: int
    sees_all: bool

    def of(self, person: int | None) -> str:
        """What to call `person`."""
        return self.names.get(person, f"person {person}") if person is not None else UNKNOWN

    def sees(self, person: int | None) -> bool:
        """Whether the figures of `person` may be shown."""
        return self.sees_all or person == self.me

    def others(self, answered: set[int | None]) -> bool:
        """Whether somebody is there who has not answered; taken for granted where people cannot be listed."""
        return not self.sees_all or bool(self.names.keys() - answered)


def names_for(visit: Visit) -> Names:
    """The people that the visitor's own token may list. Raises LabelStudioError."""
    with visit.label_studio() as label_studio, request_within(time.monotonic() + ASK_SECONDS):
        person, names = label_studio.whoami(), label_studio.people()
    me = person["id"]
    return Names({me: called(person)} if names is None else names, me, names is not None)
