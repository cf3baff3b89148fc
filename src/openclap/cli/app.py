"""The command `openclap`: all its verbs, and the one place where errors become a line and an exit code.

Exit codes: 0 all well, 1 some input failed, 2 wrong use, 130 interrupted.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from typing import Annotated

import typer
from typer.core import TyperGroup

from openclap.cli import (
    classify,
    data,
    describe,
    evaluate,
    export,
    finetune,
    journey,
    library,
    library_group,
    models,
    prune,
    recommend,
    search,
    serve,
    teach,
    train,
    watch,
)
from openclap.cli.options import add_verbs
from openclap.cli.show import err, print_error, use_any_terminal, verbosity, warn_in_one_line
from openclap.errors import OpenClapError

__all__ = ["app", "main"]

INTERRUPTED = 130  # typer's exit code for Ctrl-C

app = typer.Typer(
    name="openclap",
    help="Find, name and compare sounds by words.",
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for module in (
    classify,
    describe,
    library,
    search,
    recommend,
    journey,
    models,
    export,
    serve,
    watch,
    teach,
    train,
    finetune,
    prune,
):
    add_verbs(app, module.VERBS)
for name, module, about in (
    ("data", data, "Data sets to train on: what is in them, and packing them."),
    ("eval", evaluate, "How well a model hears: benchmarks, or a folder of your own."),
    ("library", library_group, "What a library holds; forget, relocate, tag, collect, verify."),
):
    kind: type[TyperGroup] = getattr(module, "GROUP", TyperGroup)
    group = typer.Typer(help=about, no_args_is_help=kind is TyperGroup, cls=kind)
    add_verbs(group, module.VERBS)
    app.add_typer(group, name=name)


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version")] = False,
) -> None:
    """Find, name and compare sounds by words."""
    if version:
        from openclap import __version__

        print(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit


def main() -> None:
    """Entry point of the `openclap` command."""
    use_any_terminal()
    warn_in_one_line()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # keep what is finished, as for Ctrl-C
    sys.exit(_run())


def _run() -> int:
    """Run the verb that was asked for; an error becomes one line, with `-v` its traceback too, and an exit code."""
    try:
        app()
    except SystemExit as leaving:
        if leaving.code == INTERRUPTED:
            err.print("interrupted; what was finished is kept")
        raise
    except OpenClapError as error:
        if verbosity.verbose:
            traceback.print_exc()
        if not error.quiet:
            print_error(error)
        return error.exit_code
    except BrokenPipeError:  # `openclap … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        print_error(f"{error.filename}: {error.strerror}" if error.filename else error)
        return 1
    return 0


if __name__ == "__main__":
    main()
