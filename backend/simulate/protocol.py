"""What a simulation does: how labels are given, and by which sampling methods."""

from dataclasses import dataclass

from backend.simulate.errors import OptionsError

HEADS = ("plain", "default")  # what `--head` takes; "default" is the head that ships
BASELINE = "random"  # the curve that all others are compared with: random sampling, plain head
STANDARD = "standard"  # the same labels and head on torchvision's standard embeddings: what one has without this product
PRODUCT = "default"  # what a new project gets
QUEUE = 6  # batches in a queue, as QUEUE_SIZE has it


@dataclass(frozen=True)
class Method:
    """A sampling method. name: in tables; strategy: its query strategy; head: one of HEADS; explore: share of random slots;
    cold: begins without a label, by the product's own cold start."""

    name: str
    strategy: str
    head: str
    explore: float
    cold: bool


@dataclass(frozen=True)
class Protocol:
    """How labels are given.

    start: labels at the first point of a curve; batch: labels a round; rounds: at most, after the start; test: share of the
    images that is tested on, where file names do not say it, 0 where nothing is; imbalance: classes of which only a share may
    be labelled; one_shot: each query picks its whole batch as one queue.
    """

    start: int = 20
    batch: int = 10
    rounds: int = 28
    test: float = 0.3
    imbalance: tuple[tuple[str, float], ...] = ()
    one_shot: bool = False

    def grid(self, pool: int) -> list[int]:
        """The numbers of labels at which a pool of `pool` images is judged. Raises OptionsError where it is too small."""
        if pool <= self.start:
            raise OptionsError(
                f"Only {pool} images can be labelled, the others are for the test: too few to start with {self.start} and "
                f"query more. Give more images, or a smaller --start."
            )
        if self.one_shot and pool < self.start + self.batch:
            raise OptionsError(
                f"Only {pool} images can be labelled, the others are for the test: too few for {self.start} and a query of "
                f"{self.batch}. Give more images, or a smaller --start and --batch."
            )
        return [
            min(self.start + step * self.batch, pool)
            for step in range(self.rounds + 1)
            if step == 0 or self.start + (step - 1) * self.batch < pool
        ]


def methods(strategies: list[str], head: str, cold: bool, product: Method) -> list[Method]:
    """The sampling methods that `strategies` name. The baseline is always the first, with the plain head whatever `head` is:
    random sampling under another head is a method of its own, "random+head"."""
    listed = [Method(BASELINE, "random", "plain", 0.0, cold)]
    for name in dict.fromkeys(strategies):
        if name == PRODUCT:
            listed.append(product)
        elif name == STANDARD:
            continue  # it is run on embeddings of its own
        elif name != BASELINE:
            listed.append(Method(name, name, head, 0.0, cold))
        elif head != "plain":
            listed.append(Method("random+head", "random", head, 0.0, cold))
    return listed


# The head that learned every label of the pool: a curve of one point, which no sampling method is expected to pass.
CEILING = Method("ceiling", "random", "plain", 0.0, cold=False)
