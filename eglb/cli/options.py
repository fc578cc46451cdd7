"""Option types and the options several commands share."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from eglb.foundation.equity_shape import EquityShape
    from eglb.scenarios.scenario import Scenario

Command = TypeVar("Command", bound=Callable[..., Any])


ADDRESSES = "local (a private Ray here), auto (the cluster this machine belongs to), HOST:PORT, inprocess"


def positive(value: str | float) -> float:
    """A finite number above zero."""
    number = _number(value)
    if number is None or number <= 0:
        raise click.BadParameter(f"{value!r} is not a finite number above 0.")
    return number


def weight(value: str) -> tuple[str, float]:
    """``KIND=VALUE``, VALUE a finite number of at least zero."""
    kind, equals, text = value.partition("=")
    number = _number(text)
    if not equals or not kind or number is None or number < 0:
        message = f"{value!r} is not KIND=VALUE with a finite VALUE of at least 0, such as water=60."
        raise click.BadParameter(message)
    return kind, number


def region_weight(value: str) -> tuple[str, str]:
    """``KIND=NAME``, NAME one of the ready region weights."""
    from eglb.scenarios.region_weights import READY

    kind, _, name = value.partition("=")
    if not kind or name not in READY:
        choices = ", ".join(READY)
        raise click.BadParameter(
            f"{value!r} is not KIND=NAME with a NAME of {choices}, such as water=stress."
        )
    return kind, name


def equity_shape(value: str) -> EquityShape:
    """``max``, ``lq:Q`` or ``worst:M``."""
    from eglb.foundation.equity_shape import EquityShape

    try:
        return EquityShape.parse(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None


def address(value: str) -> str:
    """Where the agents run: one of `ADDRESSES`."""
    host, _, port = value.rpartition(":")
    good_port = port.isascii() and port.isdigit() and 0 < int(port) < 65536
    if value not in ("local", "auto", "inprocess") and not (host and good_port and "/" not in host):
        raise click.BadParameter(f"{value!r} is none of: {ADDRESSES}.")
    return value


def count_or_auto(value: str) -> int | None:
    """A whole number of at least one, or ``auto``, which is None."""
    if value == "auto":
        return None
    if not (value.isascii() and value.isdigit() and int(value) > 0):
        raise click.BadParameter(f"{value!r} is neither auto nor a whole number of at least 1.")
    return int(value)


def algorithm(value: str) -> str:
    """One of the algorithms; the list lives with the solver, and is read only when it is needed."""
    from eglb.planning.solve import ALGORITHMS

    if value not in ALGORITHMS:
        raise click.BadParameter(f"{value!r} is none of: {', '.join(ALGORITHMS)}.")
    return value


def _number(text: str | float) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def read_options(command: Command) -> Command:
    """What decides how a scenario is read: --data, --seed."""
    for add in (
        click.option("--seed", type=click.IntRange(min=0), help="Seed of a generated scenario."),
        click.option(
            "--data",
            type=click.Path(path_type=Path, file_okay=False, exists=True),
            metavar="DIR",
            help="Data directory; else $EGLB_DATA, else the user's cache directory.",
        ),
    ):
        command = add(command)
    return command


def scenario_options(command: Command) -> Command:
    """SCENARIO, a folder or a built-in name, and what decides how it is read."""
    return click.argument("scenario")(read_options(command))


def output_options(command: Command) -> Command:
    """How much is said, and where: --json, --quiet."""
    for add in (
        click.option("--quiet", "-q", is_flag=True, help="No progress, no table."),
        click.option(
            "--json", "as_json", is_flag=True, help="Exactly one JSON object on stdout, the rest on stderr."
        ),
    ):
        command = add(command)
    return command


def out_option(command: Command) -> Command:
    """--out DIR, the results folder."""
    return click.option(
        "--out",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Write a results folder; it must not exist yet, or be empty.",
    )(command)


def place_options(default: str) -> Callable[[Command], Command]:
    """Where the agents run, `default` if it is not said, and how many share a process: --address,
    --regions-per-actor.
    """

    def add_both(command: Command) -> Command:
        for add in (
            click.option(
                "--regions-per-actor",
                type=count_or_auto,
                metavar="N|auto",
                default="auto",
                show_default=True,
                help="How many regions one actor process holds.",
            ),
            click.option(
                "--address",
                type=address,
                metavar="ADDRESS",
                default=default,
                show_default=True,
                help=f"Where the agents run: {ADDRESSES}.",
            ),
        ):
            command = add(command)
        return command

    return add_both


def deadline_option(command: Command) -> Command:
    """--deadline SECONDS."""
    return click.option(
        "--deadline",
        type=positive,
        metavar="SECONDS",
        default=20.0,
        show_default=True,
        help="Time after which an agent that has not answered counts as lost, until it answers again.",
    )(command)


HISTORY_HOURS = 4 * 7 * 24


def history_option(command: Command) -> Command:
    """--history SCENARIO, read by `history_of`."""
    return click.option(
        "--history",
        metavar="SCENARIO|none",
        help="Earlier hours of the same fleet, to learn from. Default: the four weeks before, where they "
        "were measured (world16), else none.",
    )(command)


def history_of(
    fleet: Scenario, name: str, history: str | None, data: Path | None, seed: int | None
) -> Scenario | None:
    """The hours before `fleet`, which was loaded by `name`, as --history says."""
    from eglb.scenarios.catalog import load, load_history

    if history is None:
        return load_history(name, round(HISTORY_HOURS / fleet.slot_hours), data=data, seed=seed)
    return None if history == "none" else load(history, data=data, seed=seed)


@dataclass(frozen=True)
class Weights:
    """What the command line says of equity: `numbers` of --weight and names `regions` of --region-weight, by
    kind, and the `shape` of --equity, None if it is not given.
    """

    numbers: dict[str, float] = field(default_factory=dict)
    regions: dict[str, str] = field(default_factory=dict)
    shape: EquityShape | None = None


def weight_option(command: Command) -> Command:
    """--weight KIND=VALUE, --region-weight KIND=NAME and --equity SHAPE, all in the argument `weights`."""

    @click.option(
        "--equity",
        type=equity_shape,
        metavar="SHAPE",
        help="Which figure of the regions' footprints is priced: max (the worst region's), lq:2, lq:4 or "
        "lq:8 (a norm over all), worst:M (the mean of the M worst). Default: as the scenario says.",
    )
    @click.option(
        "--region-weight",
        "regions",
        type=region_weight,
        metavar="KIND=NAME",
        multiple=True,
        help="How much each region's footprint of a kind counts: NAME is stress (by water stress) or "
        "per-capita (by people living nearby). Repeatable.",
    )
    @click.option(
        "--weight",
        "numbers",
        type=weight,
        metavar="KIND=VALUE",
        multiple=True,
        help="Equity weight of one footprint kind, USD per unit of the worst region's total. Repeatable.",
    )
    @wraps(command)
    def with_weights(
        *given: Any,
        numbers: tuple[tuple[str, float], ...],
        regions: tuple[tuple[str, str], ...],
        equity: EquityShape | None,
        **rest: Any,
    ) -> Any:
        return command(*given, weights=Weights(dict(numbers), dict(regions), equity), **rest)

    return with_weights  # type: ignore[return-value]


def fleet_options(command: Command) -> Command:
    """The options of `place_options` and of `weight_option`."""
    return weight_option(place_options("local")(command))


def load_weighted(name: str, data: Path | None, seed: int | None, weights: Weights | None = None) -> Scenario:
    """The named scenario with the weights of the command line.

    Raises
    ------
    InputError : from loading, a weight for a kind the scenario does not have, or a region weight that its
    facts do not give.
    """
    from eglb.foundation.errors import InputError
    from eglb.scenarios.catalog import load
    from eglb.scenarios.region_weights import with_region_weights

    scenario = load(name, data=data, seed=seed)
    if weights is None:
        return scenario
    kinds = [kind.name for kind in scenario.footprints]
    unknown = [kind for kind in weights.numbers if kind not in kinds]
    if unknown:
        has = ", ".join(kinds) or "none"
        raise InputError(
            f"--weight {kind}: {name} has no footprint {kind!r}; it has {has}" for kind in unknown
        )
    scenario = with_region_weights(scenario.with_weights(weights.numbers), weights.regions)
    return scenario if weights.shape is None else scenario.with_shape(weights.shape)


def window_of(scenario: Scenario, start: str | None, slots: int | None) -> Scenario:
    """`scenario` from the slot that `start` names (default the first), for `slots` slots (default all left).

    Raises
    ------
    InputError : the horizon has no such slots.
    """
    from eglb.foundation.errors import InputError
    from eglb.scenarios.lookup import find_slot

    first = 0 if start is None else find_slot(scenario, start)
    left = scenario.slots - first
    if slots is not None and slots > left:
        raise InputError(f"--slots {slots}: {scenario.name} has {left} from slot {first} on")
    return scenario if (first, slots) in ((0, None), (0, left)) else scenario.window(first, slots or left)
