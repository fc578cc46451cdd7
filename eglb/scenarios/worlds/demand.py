"""Demand of gateways: requests to language models, split over the gateways and shifted to local time."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from eglb.foundation.arrays import Array
from eglb.foundation.errors import InputError
from eglb.foundation.random_numbers import keyed_random
from eglb.foundation.transport_repair import most_served
from eglb.scenarios.worlds.files import columns
from eglb.scenarios.worlds.population import people_nearest
from eglb.scenarios.worlds.world import Choice, World

TRACES = ("m-small", "m-mid", "m-large", "bloom")
SPLITS = ("population", "dirichlet")
FULLEST = 0.95
SHARE_CONCENTRATION, NOISE_SD = 8.0, 0.04
SERVICES, BLOOM = "llm/servegen_10min.csv", "paper10/paper10_2022.csv"
# The traces' weeks start on Mondays; this one is their hour 0 in every world.
MONDAY = np.datetime64("2020-12-28T00", "h")
_SERVICES_SOURCE = "demand: requests to production language models, alibaba/ServeGen @f891d118, Apache-2.0"
_BLOOM_SOURCE = "demand: the BLOOM service, Ren-Research/Environmentally-Equitable-AI @182da360, MIT"


def trace_file(trace: str) -> str:
    """Where a trace is, within the data directory."""
    return BLOOM if trace == "bloom" else SERVICES


def source(trace: str) -> str:
    """Where a trace comes from, with its licence."""
    return _BLOOM_SOURCE if trace == "bloom" else _SERVICES_SOURCE


def said(choice: Choice) -> str:
    """What of demand is a choice, for a scenario's note."""
    by = "urban population within 1,000 km" if choice.split == "population" else "random shares"
    return f"demand: trace {choice.demand} in local time, split over gateways by {by}, with noise"


def read_trace(trace: str, data: Path) -> Array:
    """Hours of demand with mean one; whole days, to be repeated.

    Raises
    ------
    InputError : the file is not as it should be.
    """
    path = data / trace_file(trace)
    if trace == "bloom":
        watts = columns(path, [], ["workload_w"])[1]["workload_w"]
        hourly = watts[: len(watts) // 24 * 24]
    else:
        text, number = columns(path, ["model"], ["req_per_s"])
        rate = number["req_per_s"][np.array(text["model"]) == trace]
        hourly = rate[: len(rate) // 144 * 144].reshape(-1, 6).mean(1)
    if not len(hourly) or not hourly.mean() > 0.0:
        raise InputError(f"{path}: holds no whole day of {trace}")
    return np.asarray(hourly / hourly.mean())


def shares(choice: Choice, names: tuple[str, ...], lat: Array, lon: Array, data: Path) -> Array:
    """(N,) parts of all demand: by the urban population nearest to each, or drawn by name and seed."""
    if choice.split == "population":
        weight = people_nearest(lat, lon, data)
    else:
        weight = np.array([keyed_random(choice.seed, "share", n).gamma(SHARE_CONCENTRATION) for n in names])
    return np.asarray(weight / weight.sum())


def gateway_demand(
    choice: Choice, world: World, names: tuple[str, ...], share: Array, utc_offset_h: Array, trace: Array
) -> Array:
    """(J, T) MW: each gateway's share of ``util`` times all capacity, by the trace in local time, with noise.

    Hours of more than 95 % of all capacity are scaled down to that. All of it depends on the hour, the name
    and the seed alone, so that windows of one fleet join.
    """
    start = int((choice.first - world.first).astype(int))
    hour = int((choice.first - MONDAY).astype(int)) + np.arange(choice.slots)
    capacity_mw = world.capacity_mw * choice.regions
    mean = choice.util * capacity_mw * share
    out = np.empty((len(names), choice.slots))
    for row, name in enumerate(names):
        noise = keyed_random(choice.seed, "noise", name).standard_normal(world.hours)
        local = (hour + round(utc_offset_h[row])) % len(trace)
        out[row] = mean[row] * trace[local] * np.exp(NOISE_SD * noise[start : start + choice.slots])
    return out * np.minimum(1.0, FULLEST * capacity_mw / np.maximum(out.sum(0), 1e-300))


def servable(demand: Array, allowed: Array, capacity_mw: float) -> Array:
    """`demand` (J, T) less what the regions `allowed` (N, J), at 95 % of their capacity, cannot take."""
    if allowed.all():
        return demand
    limit = np.full((demand.shape[1], len(allowed)), FULLEST * capacity_mw)
    return np.ascontiguousarray(most_served(np.ascontiguousarray(demand.T), allowed, limit).T)
