"""A forecaster of your own: say what prices, footprints and demand will be, and see what it is worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import eglb


# 1. A forecaster has `hours`, how far it looks ahead, and one method. It is asked every slot.
@dataclass(frozen=True)
class DaysBlended(eglb.Forecaster):
    """The same hour of the last days, newer days counting more."""

    hours: float = 24.0
    fade: float = 0.5

    def predict(self, past, slots):
        # `past.values` is (series, slots so far); the last column is the present slot.
        values, known = past.values, past.values.shape[1]
        day = round(24.0 / past.slot_hours)
        days = known // day
        if days == 0:  # nothing to go by yet: it stays as it is
            return np.repeat(values[:, -1:], slots, axis=1)
        by_day = values[:, known - days * day :].reshape(len(values), days, day)
        weight = self.fade ** np.arange(days)[::-1]
        usual = np.tensordot(by_day, weight / weight.sum(), axes=(1, 0))
        # The answer is (series, slots). Column 0 is the next slot, a day after the oldest of `usual`.
        return np.tile(usual, (1, -(-slots // day)))[:, :slots]


def main() -> None:
    # 2. A generated fleet of four regions and three days. The first two days are history to learn from.
    whole = eglb.load("synthetic:4x72,seed=3")
    history, fleet = whole.window(0, 48), whole.window(48, 24)

    # 3. Pass the object where a name would do. Nothing is known, then yours, then the truth.
    gaps = {}
    for name, forecast in (("none", "none"), ("own", DaysBlended()), ("perfect", "perfect")):
        run = eglb.simulate(fleet, "soft", forecast=forecast, history=history)
        gaps[name] = run.gap_to_offline
        print(f"{name:8} {run.forecast:12} {run.objective:14,.0f} USD, {gaps[name]:.2%} above the bound")

    # 4. No policy beats the plan that knows all hours: that is what the bound is for.
    assert all(gap >= -1e-6 for gap in gaps.values())
    print("no run is below the bound")

    # On the command line: `eglb simulate NAME --forecast own_forecaster.DaysBlended:fade=0.3`.


if __name__ == "__main__":
    main()
