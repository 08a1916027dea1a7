"""Options that take several values in a row, as `--backbone resnet50 vgg16`."""

from typing import Any

import click


class Several(click.Option):
    """An option that takes one value or more, as `--strategies margin entropy`. Given twice, the later one counts."""

    JOINT = "\x1f"  # ASCII's separator of units: between the values, while click takes them for one

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:
        """The values as a tuple, each of the option's type."""
        if not isinstance(value, str):  # the default
            return value
        return tuple(self.type(one, self, ctx) for one in value.split(self.JOINT))


class SeveralCommand(click.Command):
    """A command with options that are `Several`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Join the values of such options, then go on as click does."""
        names = {name for option in self.params if isinstance(option, Several) for name in option.opts}
        joined: list[str] = []
        open_option = False
        for argument in args:
            if argument.startswith("-") and len(argument) > 1:
                open_option = argument.partition("=")[0] in names
                joined.append(argument)
            elif open_option and joined[-1] not in names:
                joined[-1] += Several.JOINT + argument
            else:
                joined.append(argument)
        return super().parse_args(ctx, joined)

    def format_epilog(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples as they are written, whatever the width."""
        formatter.write_paragraph()
        formatter.write(self.epilog or "")
