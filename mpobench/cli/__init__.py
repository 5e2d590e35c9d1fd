"""The ``mpobench`` program: one small file per command, and one place where errors become lines."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from mpobench import __version__
from mpobench.cli.lazy import LazyGroup
from mpobench.display import encoding
from mpobench.errors import MpobenchError, RequestError

EXIT_FAILURE, EXIT_REQUEST, EXIT_INTERRUPTED = 1, 2, 130


class Program(LazyGroup):
    """The root command: a user's errors in one line each, with their exit codes."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command that was asked for."""
        if ctx.params["debug"]:
            return super().invoke(ctx)
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            typer.echo(": ".join(["mpobench: interrupted", *map(str, interrupt.args)]), err=True)
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except MpobenchError as error:
            typer.echo(f"mpobench: error: {' '.join(str(error).split())}", err=True)
            code = EXIT_REQUEST if isinstance(error, RequestError) else EXIT_FAILURE
            raise typer.Exit(code) from None
        except BrokenPipeError:  # the reader has seen enough: typer ends the program in silence
            raise
        except OSError as error:
            typer.echo(f"mpobench: error: {error}", err=True)
            raise typer.Exit(EXIT_FAILURE) from None


app = typer.Typer(
    cls=Program,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mpobench {__version__}")
        raise typer.Exit


@app.callback(
    epilog="\b\nExamples:\n"
    "  mpobench run --objectives dpo,orpo,tampo --corruptions noisy:0.1\n"
    "  mpobench objectives show tampo\n"
    "  mpobench plugins"
)
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error; allowed anywhere.")
    ] = False,
) -> None:
    """Benchmark preference-optimization objectives with true rewards and controlled corruptions."""


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the program and exits: 0 done, 1 some cell failed, 2 bad request, 130 interrupted."""
    encoding.never_raise()
    args = list(sys.argv[1:] if argv is None else argv)
    if "--debug" in args:  # wherever it stands, it is the root command's
        args = ["--debug", *(arg for arg in args if arg != "--debug")]
    app(args=args, prog_name="mpobench")
