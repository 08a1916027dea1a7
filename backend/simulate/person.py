"""A person who labels, in seconds: one image after the other, or a grid of look-alikes at a time."""

from dataclasses import dataclass, fields

from backend.simulate.errors import OptionsError


@dataclass(frozen=True)
class Person:
    """Seconds, and a chance.

    One by one: look at an image, press a key, and wait for the next. A grid: begin, glance at each image, click on each odd one
    to take it out. overlooked: the chance that an odd one is not seen, and gets the class of the others.
    """

    look: float = 1.2
    key: float = 0.3
    next: float = 0.8
    grid: float = 1.0
    glance: float = 0.3
    click: float = 0.8
    overlooked: float = 0.1

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value < float("inf"):
                raise OptionsError(f"--person {name}={value}: it is a number of seconds, or a chance.")
        if self.overlooked > 1 or not self.one_by_one or not self.glance:
            raise OptionsError("--person: overlooked is a chance, at most 1, and each label takes some time.")

    @property
    def one_by_one(self) -> float:
        """Seconds for one image by itself."""
        return self.look + self.key + self.next

    def of_grid(self, images: int, clicks: int) -> float:
        """Seconds for a grid."""
        return self.grid + self.glance * images + self.click * clicks


def person_of(changes: tuple[tuple[str, float], ...]) -> Person:
    """The usual person with some times changed. Raises OptionsError."""
    known = [entry.name for entry in fields(Person)]
    for name, _ in changes:
        if name not in known:
            raise OptionsError(f"--person {name}: there is no such time; there are {', '.join(known)}.")
    return Person(**dict(changes))
