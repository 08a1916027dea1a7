"""Several networks on the same images, draws and methods: which of them is best for these, paired with the first."""

from collections.abc import Mapping

from backend.simulate.protocol import BASELINE, PRODUCT
from backend.simulate.results import Results
from backend.simulate.statistics import Summary, summarise
from backend.simulate.text import as_points, as_ratio, as_value, markdown


def against_first(networks: Mapping[str, Results]) -> list[dict[str, Summary]]:
    """For each network its methods, each against the same method of the first network."""
    first = next(iter(networks.values()))
    return [
        {name: summarise(results.labels, results.f1(name), first.f1(name)) for name in results.curves}
        for results in networks.values()
    ]


def as_comparison(networks: Mapping[str, Results]) -> str:
    """A table of the networks, and which is best. Both BASELINE and PRODUCT must be among their methods."""
    first = next(iter(networks))
    compared = dict(zip(networks, against_first(networks), strict=True))
    end = networks[first].labels[-1]
    rows = [["network", "random: AUBC", "against the first", "default: AUBC", "against the first"]]
    rows[0] += [f"default: F1 at {end}", f"fewer labels than {first}", "ceiling"]
    for name, results in networks.items():
        row = [name]
        for method in (BASELINE, PRODUCT):
            summary = compared[name][method]
            row += [f"{summary.aubc.mean:.3f}", "" if name == first else as_points(summary.aubc_difference)]
        product = compared[name][PRODUCT]
        row += [as_value(product.f1), "" if name == first else as_ratio(product), as_value(results.ceiling_f1())]
        rows.append(row)
    return f"{markdown(rows)}\n{_verdict(first, {name: summaries[PRODUCT] for name, summaries in compared.items()})}"


def _verdict(first: str, products: Mapping[str, Summary]) -> str:
    """Which network has the highest area under the curve of PRODUCT, and whether that is more than chance."""
    best = max(products, key=lambda name: products[name].aubc.mean)
    others = ", ".join(name for name in products if name != first)
    if best == first:
        return f"Best for these images: {first}; {others} {'has' if len(products) == 2 else 'have'} no higher AUBC by default."
    difference = products[best].aubc_difference
    if difference.interval is None:
        return f"Best in this one draw: {best}. Take more --seeds to know whether that is more than chance."
    if difference.interval[0] > 0:
        return f"Best for these images: {best}, {as_points(difference)} points of AUBC above {first} by default."
    return f"{best} has the highest AUBC by default, but not beyond chance: {as_points(difference)} points above {first}."
