"""How many of a finite set are wrong, from some that were drawn at random and looked at: a bound that holds at every moment.

Of N images D are wrong; n of them, drawn one after the other and not put back, turned out to hold x wrong ones. Each D makes
these answers as likely as p(D) = C(N - n, D - x) / C(N, D). Let q be the mean of p over a prior on D. While answers come in,
q / p(D) is a martingale for the true D, so the chance that it ever reaches 1 / alpha is at most alpha (Ville 1939). All D for
which it is below that are a confidence sequence (Waudby-Smith & Ramdas 2020, arXiv 2006.04347, prior-posterior ratio): the
true D is among them after every answer at once, with confidence 1 - alpha. So anybody may look after each answer, and ask for
as many more as the answers so far suggest. A bound for a sample of a fixed size (hypergeometric, Clopper-Pearson) must be
paid for anew whenever one asks again.

The prior is beta-binomial, Beta(SURE, SURE / expected - SURE), which expects a share `expected` of wrong ones. Where it is
off the bound is wider; it holds the same.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaln, gammaln

SURE = 2.0  # of the prior's Beta: 1 would need fewer checks where none is wrong, and more where some are
Floats = NDArray[np.float64]


def excluded(
    size: int, checked: ArrayLike, found: ArrayLike, least: ArrayLike, expected: float, alpha: float
) -> NDArray[np.bool_]:
    """Whether `least` wrong ones or more among `size` images are excluded once `found` of `checked` ones are wrong.

    checked, found, least: integers of shapes that broadcast. What the answers leave no room for is always excluded.
    """
    n, x, wrong = (np.asarray(values, np.float64) for values in (checked, found, least))
    impossible = wrong > size - (n - x)
    within = np.clip(wrong, x, size - (n - x))
    unlikely = _log_ratio(size, n, x, within, expected) >= np.log(1 / alpha)
    return impossible | (unlikely & (wrong > _likeliest(size, n, x)))


def most_wrong(size: int, checked: int, found: int, expected: float, alpha: float) -> int:
    """The most wrong ones that there are among `size` images, those found included, with confidence 1 - `alpha`."""
    low, high = int(_likeliest(size, np.array(float(checked)), np.array(float(found)))), size - (checked - found)
    while low < high:  # the likelihood falls from its summit on
        middle = (low + high + 1) // 2
        if excluded(size, checked, found, middle, expected, alpha):
            high = middle - 1
        else:
            low = middle
    return low


def at_most(wrong: int, checks: int, a: float, b: float) -> float:
    """The chance that at most so many of so many `checks` are `wrong`, where the share of wrong ones is drawn from Beta(a,
    b)."""
    some = np.arange(min(wrong, checks) + 1, dtype=np.float64)
    log = _log_choose(checks, some) + betaln(a + some, b + checks - some) - betaln(a, b)
    return float(min(1.0, np.exp(log).sum()))


def _log_ratio(size: int, n: Floats, x: Floats, wrong: Floats, expected: float) -> Floats:
    """Log of q / p(wrong)."""
    a, b = SURE, SURE / expected - SURE
    mean = betaln(a + x, b + n - x) - betaln(a, b)
    return mean - (_log_choose(size - n, wrong - x) - _log_choose(size, wrong))


def _likeliest(size: int, n: Floats, x: Floats) -> Floats:
    """The number of wrong ones that makes the answers likeliest."""
    share = np.floor((size + 1) * x / np.maximum(n, 1))
    return np.minimum(np.maximum(share, x), size - (n - x))


def _log_choose(n: ArrayLike, k: Floats) -> Floats:
    n = np.asarray(n, np.float64)
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
