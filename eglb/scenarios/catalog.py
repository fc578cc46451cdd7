"""From what a user names to a scenario: built-in worlds, generated fleets and folders."""

from __future__ import annotations

import importlib
import os
import re
from dataclasses import replace
from pathlib import Path

from eglb.foundation.errors import InputError
from eglb.scenarios.folder.tables import suggest
from eglb.scenarios.scenario import Scenario
from eglb.scenarios.worlds.world import World

BUILT_IN: tuple[tuple[str, str], ...] = (
    (
        "world10",
        "ten cloud regions, two weeks; annual facts published, hourly shapes modelled",
    ),
    ("paper10", "the published 10-region, 457-hour case, full reach (data directory)"),
    ("paper10-partial", "the same with the published reach mask (data directory)"),
    (
        "world16@START/DAYS",
        "16 grid zones, 2021-2023: price, carbon, weather measured (data directory); world16 to usba8 take "
        ",regions=N ,demand=TRACE ,split=population|dirichlet ,reach=all|near ,util=U ,hydro=yes ,seed=S",
    ),
    ("gcp33@START/DAYS", "33 cloud regions of one provider in 2022, round trips measured (data directory)"),
    ("zones123@START/DAYS", "123 grid zones in 2022 (data directory)"),
    ("usba8@START/DAYS", "8 US balancing authorities in 2022, fuel mix by the hour (data directory)"),
    (
        "synthetic:N[xHOURS][,seed=S][,reach=K][,util=U]",
        "N regions and N gateways on a sphere, each gateway reaching its K nearest (generated)",
    ),
    (
        "SCENARIO,jobs=SHARE[:HOURS]",
        "any of these or a folder, a share of its energy as jobs that may wait so long, else 24 h",
    ),
)
MEASURED = ("world16", "gcp33", "zones123", "usba8")
"""Worlds named ``NAME@START/DAYS``, read from the data directory by the module of that name."""


def known() -> tuple[tuple[str, str], ...]:
    """(name, one-line description) of every built-in scenario."""
    return BUILT_IN


def data_directory(data: Path | None = None) -> Path:
    """Where measured series are read from: `data`, else ``$EGLB_DATA``, else the user's cache directory."""
    if data is not None:
        return Path(data)
    if os.environ.get("EGLB_DATA"):
        return Path(os.environ["EGLB_DATA"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "eglb"


def load(name_or_folder: str | Path, *, data: Path | None = None, seed: int | None = None) -> Scenario:
    """The scenario of a built-in name or of a folder.

    A built-in name wins over a folder of the same name; write ``./paper10`` for the folder. Either may have a
    part ``,jobs=SHARE[:HOURS]``: so much of the energy may wait so long, see `eglb.scenarios.job_mix`. `seed`
    counts for generated scenarios whose name has no ``seed=`` part and for the draw of jobs, and nowhere
    else.

    Raises
    ------
    InputError : unknown name, missing data, or a folder with problems (all of them).
    InfeasibleError : well-formed, but some slot cannot be served.
    """
    name = str(name_or_folder)
    if ",jobs=" in name and not Path(name).is_dir():
        from eglb.scenarios.job_mix import split_name, with_jobs

        plain, mix = split_name(name)
        assert mix is not None
        return with_jobs(load(plain, data=data, seed=seed), *mix, seed=seed or 0)
    if name.startswith("synthetic:") or name == "synthetic":
        from eglb.scenarios.synthetic import generate, parse_name

        return generate(parse_name(name, seed=seed))
    if name == "world10":
        from eglb.scenarios.worlds.world10 import build_world10

        return build_world10()
    if name in ("paper10", "paper10-partial"):
        from eglb.scenarios.worlds.paper10 import read_paper10

        return read_paper10(data_directory(data), partial=name == "paper10-partial")
    if (world := _measured(name)) is not None:
        from eglb.scenarios.worlds.fleet import build

        return build(world, name, data_directory(data), seed=seed)
    if Path(name_or_folder).is_dir():
        from eglb.scenarios.folder.reading import read

        return read(Path(name_or_folder))
    names = [built_in for built_in, _ in known()]
    if Path(name_or_folder).exists():
        raise InputError(f"{name}: is a file; a scenario is a folder or one of {', '.join(names)}")
    hint = suggest(name, names) or f"; built in are {', '.join(names)}"
    raise InputError(f"{name}: no such folder and no built-in scenario{hint}")


def load_history(
    name: str, slots: int, *, data: Path | None = None, seed: int | None = None
) -> Scenario | None:
    """The slots right before a built-in scenario, where there are measured ones: up to `slots`, else None;
    without jobs, but also without the part of demand that is jobs in the scenario.
    """
    mix = None
    if ",jobs=" in name:
        from eglb.scenarios.job_mix import split_name

        name, mix = split_name(name)
    if (world := _measured(name)) is None:
        return None
    from eglb.scenarios.worlds.fleet import preceding

    before = preceding(world, name, slots, data_directory(data), seed=seed)
    return before if before is None or mix is None else replace(before, demand=before.demand * (1.0 - mix[0]))


def _measured(name: str) -> World | None:
    """The measured world that a name asks for, if it does."""
    head = re.split("[@,]", name, maxsplit=1)[0]
    if head not in MEASURED:
        return None
    world: World = importlib.import_module(f"eglb.scenarios.worlds.{head}").WORLD
    return world
