"""Print help pages as plain text: examples, then the options most people need; all options with --help-all."""

from __future__ import annotations

import inspect
import re
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from annotator.errors import did_you_mean

SHOW_ALL: Final = "--help-all"
CONTEXT: Final[dict[str, Any]] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
"""Settings of every command: how help is asked for, and the columns of a page."""


class Command(TyperCommand):
    """A command whose ``--help`` shows the options without a panel; ``--help-all`` shows all, panel by panel."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Print the page of ``--help-all``; suggest an option for an unknown one; shorten messages of pydantic."""
        panels = self._panels(ctx)
        if SHOW_ALL in args and len(panels) > 1:
            ctx.meta[SHOW_ALL] = True
            typer.echo(ctx.get_help())
            ctx.exit()
        try:
            return super().parse_args(ctx, args)
        except typer.TyperException as error:
            if hasattr(error, "possibilities"):  # no such option
                known = [name for params in panels.values() for param in params for name in param.opts]
                error.message += did_you_mean(error.option_name, known)  # type: ignore[attr-defined]
                error.possibilities = None
            error.message = re.sub(r"^Input should be (a valid \w+), unable .*", r"not \1", error.message)  # pydantic's
            raise

    def format_help_text(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - as TyperCommand has it
        """Write the docstring of the command, its examples verbatim."""
        text, _, examples = inspect.cleandoc(self.help or "").partition("\nExamples:\n")
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(text.strip())
        if examples:
            with formatter.section("Examples"):
                for line in inspect.cleandoc(examples).splitlines():
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n")

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words that follow the name of the command in its usage."""
        arguments = [param for param in self.get_params(ctx) if param.param_type_name == "argument"]
        return ["[OPTIONS]", *(_name(param) if param.required else f"[{_name(param)}]" for param in arguments)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options: those without a panel, or all."""
        panels = self._panels(ctx)
        everything = ctx.meta.get(SHOW_ALL, False)
        for name, params in panels.items():
            if name and not everything:
                continue
            arguments = [_row(param, ctx) for param in params if param.param_type_name == "argument"]
            options = [_row(param, ctx) for param in params if param.param_type_name == "option"]
            if len(panels) > 1 and not everything:
                number = sum(param.param_type_name == "option" for params in panels.values() for param in params)
                options.append((SHOW_ALL, f"Show all {number} options."))
            for title, rows in (("Arguments", arguments), (name or "Options", options)):
                if rows:
                    with formatter.section(title):
                        formatter.write_dl(rows)

    def _panels(self, ctx: Any) -> dict[str, list[Any]]:
        """Return arguments and options by panel; those without one come first."""
        panels: dict[str, list[Any]] = {"": []}
        for param in self.get_params(ctx):
            if not getattr(param, "hidden", False):
                panels.setdefault(getattr(param, "rich_help_panel", None) or "", []).append(param)
        return panels


class Group(TyperGroup):
    """A group whose ``--help`` lists the commands by panel, each with the first line of its help."""

    format_help_text = Command.format_help_text

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands in the order in which they were registered."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command: Any = self.get_command(ctx, name)
            first = inspect.cleandoc(command.help or "").partition("\n")[0]
            panels.setdefault(command.rich_help_panel or "Commands", []).append((name, first))
        for title, rows in panels.items():
            with formatter.section(title):
                formatter.write_dl(rows)


def _name(param: Any) -> str:
    return str(param.metavar or param.name.upper())


def _row(param: Any, ctx: Any) -> tuple[str, str]:
    """Return an argument or option with its placeholder, and its help with the default."""
    if param.param_type_name == "argument":
        return _name(param), param.help or ""
    names = ", ".join(sorted(param.opts, key=len))
    if param.secondary_opts and param.default:
        names += " / " + ", ".join(param.secondary_opts)
    placeholder = "" if param.is_flag or param.count else f" {param.metavar or 'VALUE'}"
    text = param.help or ""
    default = param.show_default if isinstance(param.show_default, str) else param.get_default(ctx, call=False)
    if param.required:
        text += " Required."
    elif param.show_default and not isinstance(default, bool) and default not in (None, "", (), []):
        text += f" Default: {default:g}." if isinstance(default, float) else f" Default: {default}."
    return names + placeholder, text
