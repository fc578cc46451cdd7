"""Gradient boosting on past weeks: a learned forecast of one series at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from eglb.agents.forecasting import Forecaster, Past, Persistence
from eglb.foundation.arrays import Array

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingRegressor

_DAY_HOURS, _WEEK_HOURS, _TRAINING_WEEKS = 24.0, 168.0, 8


@dataclass(frozen=True)
class Learned(Forecaster):
    """Histogram gradient boosting (scikit-learn), for every series by itself, on its last eight weeks.

    It learns how far a slot is from the mean of the last day, at every lead up to `hours`: from the same slot
    of the last day and week before it, the latest values, the hour, the weekday and the lead. It is trained
    anew with every week of data; with less than two weeks it says what `Persistence` of yesterday says.
    """

    hours: float = 24.0
    _models: dict[tuple[str, str], tuple[int, HistGradientBoostingRegressor]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        try:
            import sklearn  # noqa: F401
        except ImportError:
            raise ValueError("needs scikit-learn: pip install 'eglb[learned]'") from None

    def __getstate__(self) -> dict[str, object]:
        return {"hours": self.hours, "_models": {}}

    def predict(self, past: Past, slots: int) -> Array:
        week = round(_WEEK_HOURS / past.slot_hours)
        known = past.values.shape[1]
        if known < 2 * week:
            return Persistence(_DAY_HOURS, self.hours).predict(past, slots)
        out = np.empty((len(past.names), slots))
        for row, name in enumerate(past.names):
            values = past.values[row]
            model = self._model((past.quantity, name), past, values, known // week * week)
            now = np.full(slots, known - 1)
            lead = np.arange(1, slots + 1)
            features, level, scale = _features(values, now, lead, past)
            out[row] = level + scale * model.predict(features)
        return out if past.quantity == "price" else np.maximum(out, 0.0)

    def _model(
        self, key: tuple[str, str], past: Past, values: Array, trained: int
    ) -> HistGradientBoostingRegressor:
        """The model of a series, trained on its first `trained` slots."""
        if key in self._models and self._models[key][0] == trained:
            return self._models[key][1]
        from sklearn.ensemble import HistGradientBoostingRegressor

        week = round(_WEEK_HOURS / past.slot_hours)
        most = max(1, round(self.hours / past.slot_hours))
        first = max(week, trained - _TRAINING_WEEKS * week)
        leads = np.unique(np.geomspace(1, most, 8).round().astype(int))
        now, lead = (each.ravel() for each in np.meshgrid(np.arange(first, trained - most), leads))
        features, level, scale = _features(values, now, lead, past)
        target = (values[now + lead] - level) / scale
        model = HistGradientBoostingRegressor(
            max_iter=60, learning_rate=0.1, max_leaf_nodes=15, early_stopping=False, random_state=0
        )
        self._models[key] = trained, model.fit(features, target)
        return model


def _features(values: Array, now: Array, lead: Array, past: Past) -> tuple[Array, Array, Array]:
    """(rows, 8) for forecasts made in slots `now` of `lead` slots ahead; level and scale to undo."""
    day, week = (round(hours / past.slot_hours) for hours in (_DAY_HOURS, _WEEK_HOURS))
    total = np.concatenate([[0.0], np.cumsum(values)])
    level = (total[now + 1] - total[now + 1 - day]) / day
    scale = np.full(len(now), max(float(np.abs(values - values.mean()).mean()), 1e-12))
    target = now + lead
    yesterday = target - day * np.ceil(lead / day).astype(int)
    last_week = target - week * np.ceil(lead / week).astype(int)
    start = (past.first - past.first.astype("datetime64[D]")).astype("timedelta64[s]").astype(float) / 3600.0
    weekday = (past.first.astype("datetime64[D]").astype(int) + 3) % 7
    hours = start + target * past.slot_hours
    relative = [values[at] - level for at in (yesterday, last_week, now, now - day)]
    columns = [
        *(each / scale for each in relative),
        (values[now] - values[now - 1]) / scale,
        hours % 24.0,
        (weekday + hours // 24.0) % 7,
        lead.astype(float),
    ]
    return np.stack(columns, axis=1), level, scale
