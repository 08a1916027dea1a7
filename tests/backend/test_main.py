"""The command line: which commands there are, how fast they start, and what becomes of their errors."""

import subprocess
import sys

import click
import pytest

from backend.__main__ import COMMANDS, commands, main
from backend.commands.shared import CommandError
from tests.conftest import ROOT

SLOW = {"torch", "sklearn", "scipy", "matplotlib"}  # each takes from half a second to several


def python(code, **more):
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, **more)


@pytest.fixture
def failing(monkeypatch):
    """Make `status` fail with an error and return the exit status of the command line."""

    def run(error):
        @click.command("status")
        def status_command():
            raise error

        monkeypatch.setattr("backend.commands.status.status_command", status_command)
        return main(["status"])

    return run


def test_no_command_imports_what_takes_a_second_to_show_its_help():
    loads = f"from backend.__main__ import commands; [commands.get_command(None, name) for name in {list(COMMANDS)}]"
    done = python(f"import sys; {loads}; assert not {SLOW} & set(sys.modules), {SLOW} & set(sys.modules)")
    assert done.returncode == 0, done.stderr


def test_the_list_of_commands_imports_none_of_them():
    check = "assert not {'pydantic', 'redis', 'rq'} & set(sys.modules)"
    assert python(f"import sys; from backend.__main__ import main; main(['--help']); {check}").returncode == 0


def test_the_help_lists_every_command(capsys):
    assert main(["--help"]) == 0
    listed = capsys.readouterr().out
    assert [name for name in COMMANDS if f"\n  {name} " not in listed] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_teaches_by_an_example(name, capsys):
    assert main([name, "--help"]) == 0
    assert f"al-backend {name}" in capsys.readouterr().out.partition("Usage:")[2].partition("\n")[2]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_the_name_it_is_listed_under(name):
    assert commands.get_command(None, name).name == name


@pytest.mark.parametrize(
    "arguments",
    [["pause"], ["pause", "--project", "x"], ["pause", "--project", "0"], ["health", "all"], ["nothing"], ["status", "--fast"]],
)
def test_wrong_usage_ends_with_2_and_the_way_to_the_help(arguments, capsys):
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert "--help" in said
    assert "Error: " in said


def test_a_misspelt_command_is_told_the_nearest(capsys):
    assert main(["conect", "--project", "1"]) == 2
    assert "No such command 'conect'. Did you mean 'connect'?" in capsys.readouterr().err


def test_an_error_of_this_project_s_own_is_one_line(failing, capsys):
    assert failing(CommandError("Project 3 is not connected.")) == 1
    assert capsys.readouterr().err == "error: Project 3 is not connected.\n"


@pytest.mark.parametrize("bug", [KeyError("total"), ValueError("shape"), RuntimeError("lost"), IndexError(3), TypeError("x")])
def test_a_bug_keeps_its_traceback(failing, bug):
    with pytest.raises(type(bug)):
        failing(bug)


def test_ctrl_c_is_quiet(failing, capsys):
    assert failing(KeyboardInterrupt()) == 130
    assert "".join(capsys.readouterr()).strip() == ""


def test_output_that_nobody_reads_any_more_is_no_error():
    command = f"{sys.executable} -m backend settings | head -n 1"
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S602
    assert done.stdout.startswith("LABEL_STUDIO_URL=")
    assert done.stderr == ""
