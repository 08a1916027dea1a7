"""What a simulation leaves for people and programs: a table, JSON, CSV."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from backend.simulate.comparison import against_first
from backend.simulate.protocol import BASELINE, CEILING, STANDARD, Protocol
from backend.simulate.results import Results
from backend.simulate.statistics import Estimate, Summary
from backend.simulate.text import as_points, as_ratio, as_value, markdown


def as_json(networks: Mapping[str, Results], about: Mapping[str, Any]) -> dict[str, Any]:
    """All figures, for programs: those of the first network, and of each where there are several.

    `ci95` is that of `labels_saved_ratio`, `ci95_standard` that of `labels_saved_ratio_standard`.
    """
    first = next(iter(networks.values()))
    figures = {"labels": first.labels, "protocol": dict(about)} | _figures(first)
    if len(networks) > 1:
        figures["backbones"] = {
            name: _figures(results) | {"against_first": {method: _against(s) for method, s in compared.items()}}
            for (name, results), compared in zip(networks.items(), against_first(networks), strict=True)
        }
    return figures


def as_csv(networks: Mapping[str, Results], seeds: Sequence[int]) -> str:
    """One line for each point of each curve."""
    buffer = io.StringIO()
    lines = csv.writer(buffer, lineterminator="\n")
    lines.writerow(["backbone", "strategy", "seed", "labels", "macro_f1", "ece"])
    for network, results in networks.items():
        for name, curves in [*results.curves.items(), (CEILING.name, results.ceiling)]:
            for seed, curve in zip(seeds, curves, strict=True):
                for point in zip(curve.labels, curve.macro_f1, curve.ece, strict=True):
                    lines.writerow([network, name, seed, *point])
    return buffer.getvalue()


def as_table(results: Results, protocol: Protocol) -> str:
    """The specification's table with what it lacks: intervals, both baselines, area under the curve, labels saved, and the
    ceiling. In Markdown."""
    labels, by_baseline = results.labels, {name: results.summaries(name) for name in results.baselines}
    head = ["sampling method", "sample size", "F1", "lift"]
    if protocol.one_shot:
        head += [f"F1 against {name}" for name in by_baseline]
    else:
        head += ["F1 against random", "AUBC"]
        head += [column for name in by_baseline for column in (f"AUBC against {name}", f"fewer labels than {name}")]
    base = results.f1(BASELINE)[:, 0].mean()
    rows = [head, _filled(["base model", str(labels[0]), f"{base:.3f}"], head)]
    for name, summary in by_baseline[BASELINE].items():
        row = [name, f"{labels[0]} + {labels[-1] - labels[0]}", as_value(summary.f1), f"{100 * summary.lift:+.1f}"]
        if not protocol.one_shot:
            row += [_unless(name == BASELINE, as_points(summary.f1_difference)), f"{summary.aubc.mean:.3f}"]
        for baseline, summaries in by_baseline.items():
            own, against = name == baseline, summaries[name]
            if protocol.one_shot:
                row.append(_unless(own, as_points(against.f1_difference)))
            else:
                row += [_unless(own, as_points(against.aubc_difference)), _unless(own, as_ratio(against))]
        rows.append(row)
    ceiling = results.ceiling_f1()
    lift = f"{100 * (ceiling.mean - base):+.1f}"
    rows.append(_filled([CEILING.name, f"all {results.ceiling[0].labels[-1]}", as_value(ceiling), lift], head))
    return markdown(rows)


def _filled(row: list[str], head: list[str]) -> list[str]:
    return row + [""] * (len(head) - len(row))


def _unless(blank: bool, cell: str) -> str:
    return "" if blank else cell


def _figures(results: Results) -> dict[str, Any]:
    against = {name: results.summaries(name) for name in results.baselines}
    strategies = {}
    for name, curves in results.curves.items():
        summary = against[BASELINE][name]
        strategies[name] = {
            "macro_f1": [curve.macro_f1 for curve in curves],
            "ece": [curve.ece for curve in curves],
            "aubc": summary.aubc.mean,
            "lift": summary.lift,
            "final_macro_f1": _estimate(summary.f1),
            "labels_needed": summary.needed,
        } | _against(summary)
        if STANDARD in against:
            strategies[name] |= {f"{key}_standard": value for key, value in _against(against[STANDARD][name]).items()}
    ceiling = {"labels": results.ceiling[0].labels[-1], "macro_f1": [curve.macro_f1[-1] for curve in results.ceiling]}
    return {"strategies": strategies, "ceiling": ceiling | _estimate(results.ceiling_f1())}


def _against(summary: Summary) -> dict[str, Any]:
    return {
        "labels_saved_ratio": summary.ratio,
        "ci95": list(summary.interval),
        "final_macro_f1_difference": _estimate(summary.f1_difference),
        "aubc_difference": _estimate(summary.aubc_difference),
    }


def _estimate(value: Estimate) -> dict[str, Any]:
    return {"mean": value.mean, "ci95": list(value.interval) if value.interval else [None, None]}
