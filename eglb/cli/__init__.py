"""The ``eglb`` command: one module per subcommand, what they share in `options`, `streams` and `progress`.

This file and the subcommand modules import nothing heavy when loaded: ``eglb --help`` must answer at once.
A command returns its exit code; errors are raised and become one plain message here.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

import click

from eglb import __version__
from eglb.cli.books import books_group
from eglb.cli.cluster import cluster_group
from eglb.cli.compare import compare_command
from eglb.cli.data import data_group
from eglb.cli.data_plane import data_plane_command
from eglb.cli.estimate import estimate_command
from eglb.cli.explain import explain_command
from eglb.cli.report import report_command
from eglb.cli.reproduce import reproduce_command
from eglb.cli.scale import scale_command
from eglb.cli.scenario import scenario_group
from eglb.cli.serve import serve_command
from eglb.cli.simulate import simulate_command
from eglb.cli.solve import solve_command
from eglb.cli.sweep import sweep_command

__all__ = ["EXIT_CLUSTER", "EXIT_INFEASIBLE", "EXIT_INPUT", "EXIT_INTERRUPTED", "EXIT_LIMIT", "cli", "main"]

# The codes of the `eglb` command, as README lists them; 0 is done.
EXIT_INPUT, EXIT_INFEASIBLE, EXIT_LIMIT, EXIT_CLUSTER, EXIT_INTERRUPTED = 2, 3, 4, 5, 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="eglb")
def cli() -> None:
    """Environmentally equitable load balancing of a fleet of data centers.

    SCENARIO is a folder or a built-in name: see `eglb scenario list`. Start with `eglb solve world10`.

    Exit codes: 0 done, 2 wrong input, 3 infeasible, 4 stopped at a limit, 5 the cluster failed.
    """


cli.add_command(solve_command)
cli.add_command(compare_command)
cli.add_command(simulate_command)
cli.add_command(serve_command)
cli.add_command(sweep_command)
cli.add_command(reproduce_command)
cli.add_command(scale_command)
cli.add_command(report_command)
cli.add_command(explain_command)
cli.add_command(scenario_group)
cli.add_command(data_group)
cli.add_command(books_group)
cli.add_command(cluster_group)
scenario_group.add_command(estimate_command)
scenario_group.add_command(data_plane_command)


_arrived: set[int] = set()
"""Signals that asked this process to end."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code; no error of a user ends in a traceback."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    signal.signal(signal.SIGINT, _interrupt_once)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        code = cli.main(args=given, prog_name="eglb", standalone_mode=False, obj=given) or 0
    except click.ClickException as error:
        error.show()
        code = _report(given, "wrong_input", [error.format_message()], error.exit_code, shown=True)
    except click.Abort as error:
        said = str(error.__cause__ or "") or "interrupted; nothing was written"
        code = _report(given, "interrupted", [said], EXIT_INTERRUPTED)
    except Exception as error:
        # Compiled code that a signal interrupts may raise an error of its own instead.
        if signal.SIGTERM in _arrived:
            sys.exit(128 + signal.SIGTERM)
        if signal.SIGINT in _arrived:
            code = _report(given, "interrupted", ["interrupted; nothing was written"], EXIT_INTERRUPTED)
        else:
            code = _explain(given, error)
    sys.exit(code)


def _explain(given: list[str], error: Exception) -> int:
    from eglb.foundation.errors import InfeasibleError, InputError

    if isinstance(error, InputError):
        return _report(given, "wrong_input", error.problems, EXIT_INPUT)
    if isinstance(error, InfeasibleError):
        return _report(given, "infeasible", error.problems, EXIT_INFEASIBLE)
    from eglb.coordinator.fleet.fleet import FleetError

    if isinstance(error, FleetError):
        return _report(given, "cluster_failed", [str(error)], EXIT_CLUSTER)
    raise error


def _report(given: list[str], status: str, problems: Sequence[str], code: int, shown: bool = False) -> int:
    """Say what is wrong on stderr, and with --json as the one object on stdout."""
    if not shown:
        for problem in problems:
            click.echo(f"eglb: {problem}", err=True)
    if "--json" in given:
        click.echo(json.dumps({"status": status, "exit_code": code, "problems": list(problems)}))
    return code


def _interrupt_once(signum: int, frame: FrameType | None) -> None:
    # A second Ctrl-C would cut short the shutdown of agents that the first one started.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _arrived.add(signum)
    raise KeyboardInterrupt


def _terminate(signum: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _arrived.add(signum)
    raise SystemExit(128 + signum)
