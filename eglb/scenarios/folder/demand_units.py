"""``[demand]`` of ``scenario.toml``: a demand in requests or tokens per second, as MW of IT power."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eglb.scenarios.physics import energy
from eglb.scenarios.physics.figure import Figure

if TYPE_CHECKING:
    from eglb.scenarios.folder.settings import SettingsReader

_WAYS = {
    "mw": (),
    "requests_per_s": ("wh_per_request", "model", "server"),
    "tokens_per_s": ("j_per_token", "model"),
}
"""Units, and the keys that say what one of them takes."""
KEYS = ("unit", "model", "wh_per_request", "j_per_token", "server")
SERVER_KEYS = ("idle_w", "peak_w", "peak_requests_per_s", "utilisation")
W_PER_MW = 1e6


@dataclass(frozen=True)
class DemandUnit:
    """MW of IT power for one unit of the demand table, and in words what that goes by."""

    mw: float = 1.0
    source: str = ""


def read_demand_unit(document: dict[str, Any], reader: SettingsReader) -> DemandUnit:
    """The ``[demand]`` section; every problem is reported to `reader`, and MW stand in its place."""
    section = reader.section(document, "demand")
    reader.refuse_unknown(section, "demand.", KEYS)
    unit = reader.text_of(section, "unit", "mw", "demand.")
    if unit not in _WAYS:
        reader.problem("demand.unit", unit, f"is none of {', '.join(_WAYS)}")
        return DemandUnit()
    ways = _WAYS[unit]
    given = [key for key in KEYS[1:] if key in section]
    for key in given:
        if key not in ways:
            reader.problem(f"demand.{key}", section[key], f'says nothing of unit = "{unit}"')
    if not ways:
        return DemandUnit()
    if len(given) != 1:
        has = " and ".join(given) or "none of them"
        reader.problem("demand.unit", unit, f"needs one of {', '.join(ways)}; there is {has}")
    if len(given) != 1 or given[0] not in ways:
        return DemandUnit()
    (way,) = given
    if way == "model":
        return _of_model(section, unit, reader)
    if way == "server":
        return _of_server(reader.section(section, "server", "demand."), reader)
    amount = reader.number(section, way, 1.0, "demand.")
    if amount <= 0:
        reader.problem(f"demand.{way}", amount, "must be above 0")
    joule = amount if way == "j_per_token" else amount * energy.J_PER_WH
    what = "J/token" if way == "j_per_token" else "Wh/request"
    return DemandUnit(joule / W_PER_MW, f"demand: {unit} at {amount:g} {what}, as given")


def _of_model(section: dict[str, Any], unit: str, reader: SettingsReader) -> DemandUnit:
    model = reader.text_of(section, "model", "", "demand.")
    look_up: Callable[[str], Figure] = energy.j_per_token
    known, joule = (*energy.MODELS, 'a number of parameters such as "70b"'), 1.0
    if unit == "requests_per_s":
        look_up, known, joule = energy.wh_per_request, (*energy.REQUESTS, *energy.MODELS), energy.J_PER_WH
    try:
        figure = look_up(model)
    except KeyError:
        reader.problem("demand.model", model, f"is none of {', '.join(known)}")
        return DemandUnit()
    per = "J/token" if unit == "tokens_per_s" else "Wh/request"
    spread = f"{figure.central:.3g} {per} ({figure.low:.3g} to {figure.high:.3g})"
    return DemandUnit(
        figure.central * joule / W_PER_MW, f"demand: {unit} of {model} at {spread}; {figure.source}"
    )


def _of_server(section: dict[str, Any], reader: SettingsReader) -> DemandUnit:
    prefix = "demand.server."
    reader.refuse_unknown(section, prefix, SERVER_KEYS)
    values = {}
    for key in SERVER_KEYS:
        if key not in section:
            reader.problem("demand.server", section, f"has no {key}")
            return DemandUnit()
        values[key] = reader.number(section, key, 1.0, prefix)
        if values[key] <= 0 and key != "idle_w":
            reader.problem(f"{prefix}{key}", values[key], "must be above 0")
            return DemandUnit()
    idle, peak, rate, utilisation = (values[key] for key in SERVER_KEYS)
    if not 0.0 <= idle <= peak:
        reader.problem(f"{prefix}idle_w", idle, f"does not lie between 0 and peak_w = {peak:g}")
    if utilisation > 1.0:
        reader.problem(f"{prefix}utilisation", utilisation, "is above 1")
    wh = energy.server_wh_per_request(idle, peak, rate, utilisation)
    source = f"demand: requests_per_s of servers of {idle:g} to {peak:g} W at {utilisation:.0%} of {rate:g}/s"
    return DemandUnit(
        wh * energy.J_PER_WH / W_PER_MW, f"{source}: {wh:.3g} Wh each; linear (Fan et al. 2007, ISCA)"
    )
