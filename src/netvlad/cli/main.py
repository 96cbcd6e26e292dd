"""The `netvlad` command. Each subcommand is a file; what it needs is imported when it runs."""

from __future__ import annotations

import os
import sys
import warnings
from io import TextIOWrapper
from typing import Any, Protocol, runtime_checkable

import typer

from netvlad.cli import (
    check,
    compare,
    cutouts,
    datasets,
    demo,
    evaluate,
    explain,
    export,
    fit,
    import_matconvnet,
    index,
    info,
    locate,
    loops,
    map,
    models,
    pairs,
    restore,
    serve,
    shard,
    synthesise,
    town,
    train,
)
from netvlad.cli.limits import explained


@runtime_checkable
class WrongUse(Protocol):
    """Errors of the command line itself; typer has moved their class from one package to another."""

    exit_code: int

    def show(self) -> None:
        """Print what is wrong."""


app = typer.Typer(
    name="netvlad",
    help="Where was this photo taken? Match it against photos whose places are known.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
finding = (index, locate, loops, explain, serve, info, check, restore, shard, export, pairs, demo)
measuring = (evaluate, compare, models, fit, train, import_matconvnet, cutouts, synthesise)
for module in finding + measuring:
    app.command(name=module.__name__.rpartition(".")[2].replace("_", "-"), epilog=module.EXAMPLE)(module.run)
app.add_typer(town.app, name="town")
app.add_typer(datasets.app, name="datasets")
app.add_typer(map.app, name="map")


@app.callback(invoke_without_command=True)
def version(
    show: bool = typer.Option(False, "--version", help="Print the version and exit."),
) -> None:
    if show:
        from netvlad import __version__

        print(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command. Exit codes: 0 done, 1 an error that was explained, 2 wrong use, 130 interrupted."""
    from netvlad.cli.common import say
    from netvlad.errors import NetvladError

    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names may hold bytes that are no text
    warnings.formatwarning = _as_sentence
    warnings.filterwarnings("ignore", module=r"PIL\.")  # about broken metadata, without the name of the photo
    try:
        code = app(standalone_mode=False, prog_name="netvlad")
        sys.stdout.flush()
    except NetvladError as e:
        say(f"netvlad: {e}")
        code = 1
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except (BrokenPipeError, SystemExit):  # the reader of a pipe has gone, as with `| head`; typer exits on that
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as e:
        if isinstance(e, WrongUse):
            e.show()
            code = e.exit_code
        elif words := explained(e) or (str(e) if isinstance(e, OSError) else ""):
            say(f"netvlad: {words}")
            code = 1
        else:
            raise
    if code == 130:  # also what typer makes of Ctrl-C
        again = "" if sys.argv[1:2] == ["train"] else "; run the same command again to go on"  # train says how itself
        print(f"netvlad: interrupted{again}", file=sys.stderr)
    sys.exit(code)


def _as_sentence(message: Warning | str, *_: Any, **__: Any) -> str:
    """A warning as a sentence, without the line of code that it comes from."""
    from netvlad.cli.common import printable

    return f"netvlad: {printable(str(message))}\n"


if __name__ == "__main__":
    main()
