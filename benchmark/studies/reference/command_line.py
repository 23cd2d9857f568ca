"""Every command with its arguments and options, as its own help has them."""

import inspect
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmark.registry import limits
from benchmark.studies.reference.markdown import block, code, page, table, words

PROGRAM = "python -m benchmark"
INTRODUCTION = """\
`--help` behind a command says the same on a terminal. An option that may be repeated is written once for each value:
`--codec jpeg --codec webp`. [Exit codes](exit-codes.md) are the same for all commands, [codec specs](codecs.md) and
[data sets](data-sets.md) too."""


def commands_page(program: Any) -> str:
    """The page. program: the command line, as click's group."""
    top = list(_commands(program, ()))
    listed = [(f"[`{name}`](#{name})", words(_first(command))) for (name, *rest), command in top if not rest]
    sections = [_section(path, command) for path, command in top]
    return page("Commands", INTRODUCTION, table(("command", "what it does"), listed), *sections)


def _commands(group: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """(words behind the program's name, command) of all commands in `group`, each group before its commands."""
    context = group.make_context(None, [], resilient_parsing=True)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if not command.hidden:
            yield (*path, name), command
            if hasattr(command, "list_commands"):
                yield from _commands(command, (*path, name))


def _first(command: Any) -> str:
    return str(command.help or "").partition("\n\n")[0]


def _section(path: tuple[str, ...], command: Any) -> str:
    marks = "#" * (1 + len(path))
    parts = [f"{marks} {' '.join(path)}", *(words(part) for part in str(command.help or "").split("\n\n"))]
    if not hasattr(command, "list_commands"):
        declared = _declared(command.callback)
        shown = [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]
        arguments = [parameter for parameter in shown if parameter.param_type_name == "argument"]
        options = [parameter for parameter in shown if parameter.param_type_name == "option"]
        usage = [PROGRAM, *path, *map(_argument, arguments), *(["[OPTIONS]"] if options else [])]
        parts.append(block(" ".join(usage), "bash"))
        if shown:
            rows = (_row(parameter, declared[parameter.name]) for parameter in (*arguments, *options))
            parts.append(table(("argument or option", "what it is", "default"), rows))
    if command.epilog:
        parts.append(block("\n".join(line.rstrip() for line in command.epilog.split("\n\n"))))
    return "\n\n".join(parts)


class Declared(NamedTuple):
    """What the function behind a command says of a parameter: its type, bounds and default."""

    kind: Any
    low: float | None
    high: float | None
    default: Any


def _declared(function: Callable[..., Any]) -> dict[str, Declared]:
    """By name. From the annotations of the function, since typer keeps them otherwise in each version."""
    function = inspect.unwrap(function)
    hints = typing.get_type_hints(function, include_extras=True)
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        hint = hints[name]
        infos = [one for one in getattr(hint, "__metadata__", ()) if hasattr(one, "param_decls")]
        low, high = (next((getattr(one, end) for one in infos), None) for end in ("min", "max"))
        kind, _ = limits(hint)
        if typing.get_origin(kind) is list:
            kind, _ = limits(typing.get_args(kind)[0])
        default = None if parameter.default is parameter.empty else parameter.default
        found[name] = Declared(kind, low, high, default)
    return found


def _argument(parameter: Any) -> str:
    name = parameter.metavar or parameter.name.upper()
    if parameter.nargs != 1 and not name.rstrip("]").endswith(("...", "…")):
        name += "..."
    return name if parameter.required or name.startswith("[") else f"[{name}]"


def _row(parameter: Any, declared: Declared) -> tuple[str, str, str]:
    text = words(str(getattr(parameter, "help", None) or ""))
    bounds = _bounds(declared)
    if parameter.param_type_name == "argument":
        name = code(_argument(parameter))
        if typing.get_origin(declared.kind) is typing.Literal:
            text = f"{text} {', '.join(code(str(one)) for one in typing.get_args(declared.kind))}."
    else:
        value = "" if declared.kind is bool else f" {_value(parameter, declared)}"
        name = ", ".join(code(f"{one}{value}") for one in (*parameter.opts, *parameter.secondary_opts))
    return name, f"{text.rstrip('.')} ({bounds})" if bounds else text, _default(declared)


def _value(parameter: Any, declared: Declared) -> str:
    if parameter.metavar:
        return str(parameter.metavar)
    if typing.get_origin(declared.kind) is typing.Literal:
        return "|".join(map(str, typing.get_args(declared.kind)))
    return {int: "N", float: "X", Path: "PATH"}.get(declared.kind, "TEXT")


def _bounds(declared: Declared) -> str:
    low, high = declared.low, declared.high
    if low is not None and high is not None:
        return f"{low:g} to {high:g}"
    return f"at least {low:g}" if low is not None else f"at most {high:g}" if high is not None else ""


def _default(declared: Declared) -> str:
    default = declared.default
    if isinstance(default, bool):
        return "yes" if default else ""
    if isinstance(default, list | tuple):
        return ", ".join(code(str(part)) for part in default)
    text = default.as_posix() if isinstance(default, Path) else "" if default is None else str(default)
    return code(text) if text else ""
