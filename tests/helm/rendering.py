"""Helm renders the chart, in a process of its own, since Go's runtime does not bear the forks of other tests."""

import json
import subprocess
import sys
from typing import Any

import helm_python
import yaml

from tests.conftest import ROOT

CHART, RELEASE, NAMESPACE = ROOT / "helm", "al", "lab"
Values = dict[str, Any]


class HelmFailed(Exception):
    """What Helm says where values are wrong."""


def render(values: Values) -> list[Values]:
    """Every object that `helm install` would make with `values`. Raises HelmFailed."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.helm.rendering"],
        input=json.dumps(values),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    if done.returncode:
        raise HelmFailed(done.stderr)
    texts = json.loads(done.stdout)
    return [made for name, text in texts.items() if name.endswith(".yaml") for made in yaml.safe_load_all(text) if made]


if __name__ == "__main__":
    with helm_python.Chart.load(str(CHART)) as chart:
        try:
            rendered = chart.render(json.load(sys.stdin), name=RELEASE, namespace=NAMESPACE)
        except (helm_python.HelmValuesError, helm_python.HelmRenderError) as error:
            sys.exit(str(error))
    print(json.dumps(rendered))
