"""The command line, `python -m backend COMMAND`: which commands there are, and what becomes of their errors.

A command stands with its options beside the function it serves. Its module is imported only when it is called for, so that
every command and its help start at once.
"""

import difflib
import importlib
import os
import sys
from pathlib import Path

import click

from backend import __version__

COMMANDS = {
    "up": ("backend.commands.up", "Run everything but Label Studio."),
    "serve": ("backend.commands.serve", "Run the server that Label Studio calls."),
    "worker": ("backend.commands.worker", "Run one RQ worker."),
    "health": ("backend.commands.health", "Say whether the server, or the worker, lives."),
    "connect": ("backend.commands.connect", "Connect a project, publish its first queue."),
    "disconnect": ("backend.commands.connect", "Let go of a project; labels stay."),
    "forget": ("backend.commands.connect", "Remove what is kept of a deleted project."),
    "ask-again": ("backend.commands.ask_again", "Serve tasks again that were answered with nothing."),
    "status": ("backend.commands.status", "Show versions, F1, queues, jobs and errors."),
    "doctor": ("backend.commands.doctor", "Look at every link, name what is broken, mend it."),
    "retrain": ("backend.commands.rounds", "Run a round now and wait for it."),
    "rollback": ("backend.commands.rounds", "Let the queue follow an older version."),
    "pause": ("backend.commands.rounds", "Stop retraining a project."),
    "resume": ("backend.commands.rounds", "Take up a paused project again."),
    "validate": ("backend.commands.accept", "Have people check what the model is sure of."),
    "accept": ("backend.commands.accept", "Let it label what it is surely right about."),
    "export": ("backend.commands.export", "Take the model, labels and predictions away."),
    "simulate": ("backend.simulate.cli", "Measure what strategies save on your images."),
    "bench": ("backend.bench.cli", "Measure how fast all of this is on your machine."),
    "settings": ("backend.commands.settings", "List every setting with its current value."),
}  # name: the module that holds the command NAME_command, and what the list of commands says of it
ROOMS = {"backend", "model", "strategies"}  # packages whose exceptions are made for people to read

EPILOG = """\b
A first session:
  export LABEL_STUDIO_URL=http://localhost:8080
  export LABEL_STUDIO_API_KEY=<personal access token>
  al-backend up                   # in a terminal of its own
  al-backend connect --project 1  # then press "Label All Tasks"
  al-backend status               # version, F1, what runs

Settings come from the environment or from the file .env; `al-backend settings` explains each. What a command takes is
told by `al-backend COMMAND --help`."""


class LazyGroup(click.Group):
    """The commands of COMMANDS, each imported when it is called for."""

    def list_commands(self, _: click.Context) -> list[str]:
        """Their names, in the order in which they are listed."""
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command:
        """The command `name`. Raises UsageError with the nearest one where there is none."""
        if name not in COMMANDS:
            near = difflib.get_close_matches(name, COMMANDS, 1)
            raise click.UsageError(f"No such command {name!r}." + (f" Did you mean {near[0]!r}?" if near else ""), context)
        module, _about = COMMANDS[name]
        command: click.Command = getattr(importlib.import_module(module), f"{name.replace('-', '_')}_command")
        return command

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands in the help, for which none of them is imported."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_module, about) in COMMANDS.items()])


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(version)s")
def commands() -> None:
    """Active learning for Label Studio: the annotator always gets the image that teaches the model most."""


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit status: 0 well, 1 failed with a message, 2 wrong usage, 130 stopped by Ctrl-C."""
    name = Path(sys.argv[0]).name
    try:
        return commands.main(arguments, name if name == "al-backend" else "python -m backend", standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return 130
    except Exception as error:
        if not is_for_people(error):
            raise
        click.echo(f"error: {error}", err=True)
        return 1


def is_for_people(error: BaseException) -> bool:
    """Whether an error says what is wrong and what to do: those of our own types do, all others are bugs to be traced."""
    return type(error).__module__.partition(".")[0] in ROOMS


def run() -> None:
    """The process `python -m backend` or `al-backend`."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a title that the terminal cannot show must stop nothing
    sys.exit(main())


if __name__ == "__main__":
    run()
