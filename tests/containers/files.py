"""Dockerfile, docker-compose.yml and .env.example, read as Docker reads them."""

import json
import re
import shlex
from typing import Any

import yaml
from dockerfile_parse import DockerfileParser
from dotenv import dotenv_values
from expandvars import expand

from tests.conftest import ROOT

COMPOSE_FILE = (ROOT / "docker-compose.yml").read_text()
VARIABLES = set(re.findall(r"\$\{(\w+)", COMPOSE_FILE))
DOCKERFILE = DockerfileParser(str(ROOT / "Dockerfile"))
ENTRYPOINT = next(json.loads(step["value"]) for step in DOCKERFILE.structure if step["instruction"] == "ENTRYPOINT")
COPY_STEPS = [shlex.split(step["value"])[0] for step in DOCKERFILE.structure if step["instruction"] == "COPY"]
SENT = [source for source in COPY_STEPS if not source.startswith("--from=")]  # what the builder gets of this folder
CODE = [source for source in SENT if source.endswith("/")]  # what of it is in the image
EXAMPLE = {name: value or "" for name, value in dotenv_values(ROOT / ".env.example", interpolate=False).items()}
PASSWORDS = {"BASIC_AUTH_PASS": "it's $ecret", "POSTGRES_PASSWORD": "for-labels-alone"}
VALUES = EXAMPLE | PASSWORDS | {"QUIET_SECONDS": "2", "RECONCILE_SECONDS": "3600"}  # webhooks alone must do


def read_compose(values: dict[str, str]) -> dict[str, Any]:
    """docker-compose.yml with the variables `values`. Raises expandvars' ParameterNullOrNotSet for a missing required one."""

    def fill(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: fill(value) for key, value in node.items()}
        if isinstance(node, list):
            return [fill(value) for value in node]
        return expand(node.replace("$$", r"\$"), environ=values) if isinstance(node, str) else node

    return fill(yaml.safe_load(COMPOSE_FILE))
