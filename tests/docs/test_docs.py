"""Every command, option, setting, file and message that the documentation names is there, and none is left out."""

import re
import shlex
import subprocess
import sys
from itertools import pairwise

import click
import numpy as np
import pytest
import yaml
from PIL import Image

from backend.__main__ import commands
from backend.settings import Settings
from model.backbone_store import BackboneStore
from model.heads.head import Head
from model.networks.arithmetic import fastest
from model.networks.backbone import BackboneSpec, backbone_name
from model.version_store import Version, VersionStore
from strategies import REGISTRY, WRAPPERS, Query, score
from tests.conftest import ROOT
from tests.containers.files import VARIABLES
from tests.docs.pages import PAGES, anchors, blocks, links, name_of, shell_lines, spans, strings_of_the_code
from tests.test_rooms import FLOORS

README_BYTES = 10_000
SETTINGS = {name.upper() for name in Settings.model_fields}
OTHER_NAMES = {
    *("LABEL_STUDIO_HOST", "SECRET_KEY", "USE_DEFAULT_BANNED_SUBNETS", "USER_ADDITIONAL_BANNED_SUBNETS"),  # Label Studio's
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),  # read as everybody reads them
    *("GOOGLE_SERVICE_ACCOUNT", "FLUSHALL"),  # the stores', Redis'
    *("AL_SHARED", "IMAGES", "TESTS"),  # the Makefile's and the tests'
    *("DEBUG", "INFO", "WARNING", "ERROR", "F1", "REASONS", "REGISTRY", "WRAPPERS"),  # values, words, names in the code
    *("ID", "NAME", "DIR", "FOLDER", "DEPTH", "VERSION"),  # stand for something
}
CONTEXT = click.Context(commands)
GROUP_OPTIONS = {name for option in commands.get_params(CONTEXT) for name in option.opts}
COMMANDS = {name: commands.get_command(CONTEXT, name) for name in commands.list_commands(CONTEXT)}
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
TARGETS = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
TEXT = {name_of(page): page.read_text() for page in PAGES}
pages = pytest.mark.parametrize("page", PAGES, ids=name_of)


def calls(text: str) -> list[list[str]]:
    """The words after `al-backend` or `python -m backend` wherever a page names a call of it."""
    found = []
    for line in [*shell_lines(text), *spans(text)]:
        for match in re.finditer(r"(?:al-backend|python -m backend)(?= |$)([^;&|>)]*)", line):
            found.append(shlex.split(match[1]))
    return found


def wrong_with(words: list[str]) -> str:
    """What the command line has against a call, without running it; nothing where the call is right."""
    if not words or words[0] in ("COMMAND", *GROUP_OPTIONS):
        return ""
    command = COMMANDS.get(words[0])
    if command is None:
        return f"no command {words[0]}"
    options = {name: option for option in command.params for name in option.opts}
    for option in (word for word in words[1:] if word.startswith("--") and word != "--help"):
        if option not in options:
            return f"{words[0]} has no {option}"
    for option, value in pairwise(words):
        kind = options[option].type if option in options else None
        if isinstance(kind, click.Choice) and value not in kind.choices and not value.isupper():
            return f"{words[0]} {option} cannot be {value}"
    return ""


@pages
def test_every_call_of_the_command_line_is_right(page):
    assert [(words, wrong) for words in calls(page.read_text()) if (wrong := wrong_with(words))] == []


@pytest.mark.parametrize(
    "words", [["conect"], ["connect", "--projekt", "1"], ["retrain", "--project", "1", "--finetune", "some"]], ids=" ".join
)
def test_a_call_that_is_wrong_would_be_found(words):
    assert wrong_with(words)


@pages
def test_every_option_it_names_is_one_of_the_command_line(page):
    options = {name for command in COMMANDS.values() for option in command.params for name in option.opts} | GROUP_OPTIONS
    lines = [span for span in spans(page.read_text()) if not re.match(r"(docker|git|pip|make|apt|helm|kubectl)", span)]
    named = {word for span in lines for word in re.findall(r"(?<!\S)--[a-z][a-z-]+", span)}
    others = {"--build", "--scale", "--internal-host"}  # of Docker and Label Studio
    assert named - options - others == set()


def test_every_command_has_its_line():
    described = {words[0] for words in calls(TEXT["docs/operate.md"]) if words}
    assert set(COMMANDS) - described == set()


def test_every_option_is_named_somewhere():
    text = "\n".join(TEXT.values())
    known = {name for name, command in COMMANDS.items() if name not in ("simulate", "bench")}  # their own help has them all
    options = {o for name in known for option in COMMANDS[name].params for o in option.opts if o.startswith("--")}
    assert {option for option in options if option not in text} == set()


@pages
def test_every_setting_it_names_is_one(page):
    named = {n for span in spans(page.read_text()) for n in re.findall(r"(?<![\w<{-])[A-Z][A-Z0-9_]+(?![\w>.:/-])", span)}
    named |= {n for line in shell_lines(page.read_text()) for n in re.findall(r"(?:^| )([A-Z][A-Z_]+)=", line)}
    assert named - SETTINGS - VARIABLES - OTHER_NAMES == set()


def table(page: str) -> list[list[str]]:
    """The cells of all table rows of a page."""
    rows = re.findall(r"^\| (.*) \|$", TEXT[page], re.MULTILINE)
    return [[cell.strip() for cell in row.split(" | ")] for row in rows]


def test_the_page_of_settings_has_every_setting():
    listed = [name for row in table("docs/settings.md") for name in re.findall(r"`([A-Z_]+)`", row[0])]
    assert sorted(listed) == sorted(SETTINGS)


def test_the_page_of_settings_has_their_defaults():
    said = {name.lower(): row[1].strip("`") for row in table("docs/settings.md") for name in re.findall(r"`([A-Z_]+)`", row[0])}
    plain = {name: value for name, value in said.items() if re.fullmatch(r"[\w.+:/-]+", value) and "PORT" not in value}
    words = {"redis_url", "host", "model_weights"}  # what an empty one stands for is said in words
    fields = Settings.model_fields
    expected = {name: str(fields[name].default) for name in plain if name not in words}
    assert {name: value for name, value in plain.items() if name not in words} == {
        name: value.removesuffix(".0") for name, value in expected.items()
    }


def test_the_page_of_strategies_has_every_strategy():
    first = " ".join(row[0] for row in table("docs/choose-a-strategy.md"))
    named = set(re.findall(r"`([a-z_]+)`", first)) | set(re.findall(r"`\.\.\.\+(\w+)`", first))
    assert named == {*REGISTRY, *WRAPPERS}


@pages
def test_every_link_leads_somewhere(page):
    broken = []
    for link in links(page):
        path, _, heading = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (heading and heading not in anchors(target)):
            broken.append(link)
    assert broken == []


@pages
def test_every_file_and_room_it_names_is_there(page):
    named = {s for s in spans(page.read_text()) if re.fullmatch(r"(backend|model|strategies|tests|tools|docs)/[\w./-]*", s)}
    made_by_the_reader = {"strategies/brightest.py"}
    assert {name for name in named - made_by_the_reader if not (ROOT / name).exists()} == set()


@pages
def test_every_target_of_make_is_there(page):
    text = page.read_text()
    named = {m for line in [*shell_lines(text), *spans(text)] for m in re.findall(r"(?:^|\s)make (\w+)", line)}
    assert named - TARGETS == set()


@pages
def test_every_module_it_runs_is_there(page):
    text = page.read_text()
    named = {m for line in [*shell_lines(text), *spans(text)] for m in re.findall(r"python -m (tools\.\w+)", line)}
    assert {name for name in named if not (ROOT / f"{name.replace('.', '/')}.py").exists()} == set()


@pages
def test_every_service_it_names_is_in_the_compose_file(page):
    text = page.read_text()
    lines = [line for line in [*shell_lines(text), *spans(text)] if line.startswith("docker compose")]
    named = {n for line in lines for n in re.findall(r"(?:exec(?: -T)?|logs -f|--scale|pull) ([a-z][\w-]*)", line)}
    named |= {n for line in lines for n in re.findall(r"--profile ([\w-]+)", line)}
    assert named - set(SERVICES) == set()


def test_every_message_of_the_troubleshooting_page_is_one_of_the_code():
    quoted = [re.match(r'"(.*)"$', row[0])[1] for row in table("docs/troubleshooting.md") if re.match(r'".*"$', row[0])]
    assert quoted
    code = strings_of_the_code()
    assert [message for message in quoted if message not in code and re.sub(r"\d+", "{}", message) not in code] == []


def test_the_readme_is_a_face():
    assert (ROOT / "README.md").stat().st_size <= README_BYTES


def test_the_readme_shows_the_labelling_page_and_one_plot_and_one_table_of_evidence():
    text = TEXT["README.md"]
    assert re.findall(r"!\[[^]]*\]\(([^)]*)\)", text) == ["docs/labelling.png", "docs/saving.png"]
    assert len(re.findall(r"^\| random ", text, re.MULTILINE)) == 1


def test_the_readme_and_the_index_lead_to_every_page():
    there = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert {link for link in links(ROOT / "docs" / "README.md") if "/" not in link} == there
    assert {link.removeprefix("docs/") for link in links(ROOT / "README.md") if link.endswith(".md")} >= there


def test_the_evidence_of_the_readme_stands_on_its_page():
    rows = re.findall(r"^\| (?:random|\*\*default\*\*) .*$", TEXT["README.md"], re.MULTILINE)
    assert rows
    assert [row for row in rows if row not in TEXT["docs/evidence.md"]] == []


def test_every_room_has_its_line():
    listed = {room.rstrip("/") for room in re.findall(r"^\| `([\w/]+)` \|", TEXT["CONTRIBUTING.md"], re.MULTILINE)}
    rooms = {f"backend/{path.parent.name}" for path in (ROOT / "backend").glob("*/__init__.py")}
    rooms |= {name.replace(".", "/") for floor in FLOORS for name in floor if (ROOT / name.replace(".", "/")).is_dir()}
    assert listed == rooms | {"tests"}


@pytest.mark.parametrize(
    ("page", "function"),
    [("CONTRIBUTING.md", "brightest"), ("docs/add-a-strategy.md", "near_a_third")],
    ids=["inside", "outside"],
)
def test_the_strategy_that_it_shows_works(page, function, tmp_path, monkeypatch):
    (source,) = blocks(TEXT[page], "python")
    (tmp_path / f"shown_{function}.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    query = Query(np.arange(3), np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]]))
    assert score(f"shown_{function}:{function}", query).shape == (3,)


@pytest.mark.usefixtures("trained_version")
def test_the_model_is_taken_away_as_the_page_shows(tmp_path):
    """With a version on disk, its backbone's note and a photo, the page's own lines print a probability for each class."""
    (source,) = blocks(TEXT["docs/connect.md"], "python")
    (tmp_path / "away.py").write_text(source)
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "away.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "ant" in done.stdout
    assert "bee" in done.stdout


@pytest.fixture
def trained_version(tmp_path, weights):
    """A version of project 1 and a photo, where the page's lines look for them."""
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(tmp_path / "photo.jpg")
    head = Head(rng.normal(size=(2, 2048)).astype(np.float32), np.zeros(2, np.float32), 1.0, np.ones(2, np.int64))
    target = {"classes": ["ant", "bee"]}
    labels = np.zeros(0, np.int64)
    project, base = tmp_path / "data" / "projects" / "1", BackboneSpec.of("resnet50", weights, fastest())
    BackboneStore(project, base).embeddings(backbone_name(base))
    version = Version("al-1-0a1b2c", 0.0, target, backbone_name(base), "bait", head, labels, labels, 0)
    VersionStore(project / "versions").write(version)


def test_messages_name_the_command_as_it_is_installed():
    """`python -m backend` works in a checkout alone; who installed the package types `al-backend`."""
    sources = [path for path in (ROOT / "backend").rglob("*.py") if path.name not in ("__main__.py", "up.py")]
    assert [str(path) for path in sources if "python -m backend" in path.read_text()] == []


def test_the_page_of_settings_has_the_default_that_follows_from_another():
    (row,) = (row for row in table("docs/settings.md") if row[0] == "`QUEUE_SIZE`")
    settings = Settings()
    assert row[1] == f"{settings.queue_size // settings.retrain_after} x `RETRAIN_AFTER`"
