"""A group of commands whose first one needs no name: `study RUN` is `study make RUN`."""

from typing import Any

from typer.core import TyperGroup


class MakeGroup(TyperGroup):
    """Arguments that begin with none of its commands are those of "make": a group takes no argument of its own."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """`args`, with "make" before them unless they begin with a command or ask for help."""
        known = args and (args[0] in self.commands or args[0] == "--help")
        return super().parse_args(ctx, args if known or not args else ["make", *args])
