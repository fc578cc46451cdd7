"""Conditions of a robustness study: what is foretold, what is estimated wrongly, what is misdeclared."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Condition:
    """One run: a policy under circumstances. `declared` multiplies the length of the period it believes
    in.
    """

    group: str
    label: str
    policy: str
    forecast: str = "none"
    estimates: str = "exact"
    feedback: str = "calibrated"
    meter_delay: int = 1
    declared: float = 1.0


FORECASTS = (
    ("none", "none"),
    ("yesterday", "yesterday"),
    ("learned 24 h", "learned"),
    ("24 h, 40 % noise", "noisy:hours=24,sd=0.4"),
    ("24 h, 20 % noise", "noisy:hours=24,sd=0.2"),
    ("24 h, 10 % noise", "noisy:hours=24,sd=0.1"),
    ("24 h, perfect", "perfect:hours=24"),
    ("all hours, perfect", "perfect"),
    ("24 h, regions reversed", "reversed:hours=24"),
    ("all hours, regions reversed", "reversed"),
)


UNTAUGHT = (
    "eg",
    "adahedge",
    "dmd",
    "dmd:step=1e-6",
    "dmd:step=3e-6",
    "dmd:step=3e-5",
    "dmd:step=1e-4",
    "cost",
    "sum",
    "nearest",
)


ADVICE = (("perfect", "perfect"), ("none", "none"), ("reversed", "reversed"))


BUDGETS = (0.01, 0.02, 0.05, 0.1, 0.2)


def conditions() -> list[Condition]:
    """All of the study's."""
    found = [
        Condition("forecast", label, policy, forecast)
        for policy in ("soft", "guard", "mpc")
        for label, forecast in FORECASTS
        if policy == "soft" or forecast != "learned"  # training takes longer than deciding
    ]
    found += [Condition("no forecast", policy, policy) for policy in UNTAUGHT]
    found += [
        Condition(
            "estimates", f"{kind} {round(100 * sd)} %", policy, estimates=f"{kind}:sd={sd}", feedback=feedback
        )
        for policy in ("soft", "eg")
        for kind in ("iid", "drift", "bias")
        for sd in (0.2, 0.4)
        for feedback in ("open", "metered", "calibrated")
    ]
    found.append(
        Condition("estimates", "bias 20 %, read after 24 h", "soft", estimates="bias:sd=0.2", meter_delay=24)
    )
    found += [
        Condition("period", f"declared as {factor:g} T", policy, declared=factor)
        for policy in ("soft", "eg", "adahedge")
        for factor in (0.5, 1.0, 2.0)
    ]
    found += [
        Condition("guard", f"eps {eps:g}, {label}", f"guard:eps={eps:g}", forecast)
        for label, forecast in ADVICE
        for eps in BUDGETS
    ]
    return found


GROUPS = ("forecast", "no forecast", "estimates", "period", "guard")
