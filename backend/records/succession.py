"""Which version and which backbone come next: the one state machine of a project, each of its moves by name."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Succession:
    """The version that the queue follows, and what is about to take its place.

    live: the version the queue is to follow, "" before the first; target: what the labelling config asked when it was made;
    followed: the version that Label Studio was last told to follow, other than `live` while a switch is under way or where it
    was cut off; returning: the version that a rollback is about to make live.
    candidate: the backbone that a fine-tuning has made and not judged yet; promoting: the backbone that was judged better, or
    that the project is to have whether or not, until a round has published with it.
    """

    live: str = ""
    target: dict[str, Any] = field(default_factory=dict)
    followed: str = ""
    returning: str = ""
    candidate: str = ""
    promoting: str = ""

    def switch_to(self, version: str, target: dict[str, Any], backbone: str) -> None:
        """The queue of `version` is published whole: it is the one to follow. A rollback under way ends with it.

        A promotion ends only where `backbone`, which made `version`, is the promoted one: not where an older round ends.
        """
        self.live, self.target, self.returning = version, target, ""
        if self.promoting == backbone:
            self.promoting = ""

    def told(self, version: str) -> None:
        """Label Studio was told to follow `version`."""
        self.followed = version

    def chosen_by_hand(self, version: str) -> None:
        """Somebody chose `version`, which is one of ours, in Label Studio itself."""
        self.live = self.followed = version

    def roll_back_to(self, version: str) -> None:
        """A rollback to `version` begins; whoever asks for it does not want a new backbone instead."""
        self.returning, self.promoting = version, ""

    def adopted(self, backbone: str) -> None:
        """A fine-tuning has made `backbone`, which is kept from now on until it is judged."""
        self.candidate = backbone

    def judged(self, backbone: str, promoted: bool) -> None:
        """`backbone` was compared with the live one; `promoted`: rounds are to use it."""
        self.candidate = ""
        if promoted:
            self.promoting = backbone

    def migrated(self, backbone: str) -> None:
        """Every image is embedded with `backbone`, and rounds are to use it."""
        self.promoting = backbone

    def forget(self) -> None:
        """Nothing is known any more: the project is another one under the same id."""
        self.live = self.followed = self.returning = self.candidate = self.promoting = ""
        self.target = {}

    def backbones(self) -> set[str]:
        """The backbones that no version on disk may name yet, and that are needed all the same."""
        return {self.candidate, self.promoting} - {""}
