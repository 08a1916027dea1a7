"""What a simulation is asked for: the options of `simulate`, checked against each other."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from backend.simulate.crowd.people import UNIFORM
from backend.simulate.errors import OptionsError
from backend.simulate.person import person_of
from backend.simulate.protocol import PRODUCT, Protocol
from strategies import StrategyError, get

LABELS = 300  # at the end, unless told otherwise
START, BATCH = 20, 10  # labels to begin with and labels a round, unless told otherwise
MINUTES = 5.0  # that a person labels, with and without groups
RUNS = 200  # of --accept, at least; as many for each of --seeds, which are orders in which candidates are checked
ONE_SHOT = 250  # both, where there is one query only


@dataclass(frozen=True, kw_only=True)
class Options:
    """One field for each option of `simulate`, whose help says what it means. None: what follows from the others.

    Raises OptionsError on strategies that there are not, and on options that do not fit together.
    """

    folder: Path
    cache: Path
    strategies: tuple[str, ...]
    backbone: tuple[str, ...]
    start: int | None = None
    batch: int | None = None
    rounds: int | None = None
    cold: bool = False
    one_shot: bool = False
    seeds: int = 5
    test: float = 0.3
    split: tuple[str, str] | None = None
    copies: int = 0
    imbalance: tuple[tuple[str, float], ...] = ()
    head: str = "plain"
    standard: bool = True
    finetune: str | None = None
    finetune_at: tuple[int, ...] = ()
    weights: Path | None = None
    jobs: int = 1
    fresh: bool = False
    accept: float | None = None
    groups: bool = False
    judge: bool = False
    minutes: float = MINUTES
    person: tuple[tuple[str, float], ...] = ()
    noise: float = 0.0
    annotators: int = 1
    confusion: str = UNIFORM
    json: Path | None = None
    csv: Path | None = None
    plot: Path | None = None

    def __post_init__(self) -> None:
        for name in dict.fromkeys(self.strategies):
            if name != PRODUCT:
                check_strategy(name)
        if self.one_shot and (self.rounds or 1) > 1:
            raise OptionsError(f"--one-shot is a single query: leave out --rounds {self.rounds}.")
        if self.finetune_at and not self.finetune:
            raise OptionsError("--finetune-at needs --finetune last or --finetune all.")
        if len(self.backbone) > 1 and self.weights:
            raise OptionsError("--weights is for one network: with several give each its file, as in --backbone resnet50=FILE.")
        if len(self.backbone) > 1 and self.finetune:
            raise OptionsError(f"--finetune retrains one network: leave one of --backbone {' '.join(self.backbone)}.")

        if self.groups and (len(self.backbone) > 1 or self.finetune or self.one_shot):
            raise OptionsError(
                "--groups compares two ways to label: leave out --one-shot, --finetune, and a second --backbone."
            )
        if self.accept and (len(self.backbone) > 1 or self.finetune or self.one_shot or self.groups):
            raise OptionsError(
                "--accept plays what a new project gets: leave out --groups, --one-shot, --finetune, and a second --backbone."
            )
        if self.noise and (len(self.backbone) > 1 or self.finetune or self.one_shot or self.groups or self.accept):
            raise OptionsError(
                "--noise compares ways to label: leave out --accept, --groups, --one-shot, --finetune, and a second --backbone."
            )
        if not self.noise and (self.annotators > 1 or self.confusion != UNIFORM):
            raise OptionsError("--annotators and --confusion are about people who err: say how often, as in --noise 0.1.")
        if self.judge and (
            self.groups or self.accept or self.noise or len(self.backbone) > 1 or self.finetune or self.one_shot
        ):
            raise OptionsError(
                "--judge plays what a new project gets: leave out --accept, --noise, --groups, --one-shot, --finetune, and a "
                "second --backbone."
            )
        person_of(self.person)

    @cached_property
    def protocol(self) -> Protocol:
        """How labels are given."""
        start = self.start or (ONE_SHOT if self.one_shot else START)
        batch = self.batch or (ONE_SHOT if self.one_shot else BATCH)
        rounds = self.rounds or (1 if self.one_shot else max(1, -(-(LABELS - start) // batch)))
        return Protocol(start, batch, rounds, 0.0 if self.accept else self.test, tuple(sorted(self.imbalance)), self.one_shot)

    def retrain_at(self, grid: list[int]) -> tuple[int, ...]:
        """At which numbers of labels ResNet50 is retrained, of those in `grid`, at which curves have a point. Raises
        OptionsError where they have none."""
        if not self.finetune:
            return ()
        at = tuple(sorted(set(self.finetune_at or grid[-1:])))
        if unknown := [str(labels) for labels in at if labels not in grid]:
            known = ", ".join(map(str, grid))
            raise OptionsError(f"--finetune-at {' '.join(unknown)}: there are figures at {known} labels only.")
        return at


def check_strategy(name: str) -> None:
    """Raises OptionsError where there is no strategy `name`."""
    try:
        get(name)
    except StrategyError as error:
        raise OptionsError(f"--strategies: {error} Or default: what a new project gets.") from error
