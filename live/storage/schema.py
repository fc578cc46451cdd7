"""Database schema (SQLAlchemy tables)."""

from __future__ import annotations

import sqlalchemy as sql

meta = sql.MetaData()
series = sql.Table(
    "series",
    meta,
    sql.Column("what", sql.String(16), primary_key=True),
    sql.Column("slot", sql.BigInteger, primary_key=True),
    sql.Column("place", sql.String(200), primary_key=True),
    sql.Column("quantity", sql.String(100), primary_key=True),
    sql.Column("value", sql.Double, nullable=False),
)
tables = sql.Table(
    "tables",
    meta,
    sql.Column("version", sql.BigInteger, primary_key=True, autoincrement=False),
    sql.Column("slot", sql.BigInteger, nullable=False, index=True),
    sql.Column("source", sql.String(16), nullable=False),
    sql.Column("note", sql.Text, nullable=False),
    sql.Column("body", sql.Text, nullable=False),
)
signals = sql.Table(
    "signals",
    meta,
    sql.Column("slot", sql.BigInteger, primary_key=True),
    sql.Column("kind", sql.String(100), primary_key=True),
    sql.Column("region", sql.String(200), primary_key=True),
    sql.Column("value", sql.Double, nullable=False),
    sql.Column("unit", sql.String(40), nullable=False),
    sql.Column("at", sql.BigInteger, nullable=False),
    sql.Column("source", sql.String(200), nullable=False),
    sql.Column("fallback", sql.String(40)),
    sql.Column("problem", sql.Text),
)
events = sql.Table(
    "events",
    meta,
    sql.Column("id", sql.Integer, primary_key=True),
    sql.Column("at", sql.BigInteger, nullable=False, index=True),
    sql.Column("level", sql.String(16), nullable=False),
    sql.Column("what", sql.String(100), nullable=False),
    sql.Column("text", sql.Text, nullable=False),
    sql.Column("value", sql.Double),
    sql.Column("threshold", sql.Double),
    sql.Column("until", sql.BigInteger),
)
notes = sql.Table(
    "notes",
    meta,
    sql.Column("name", sql.String(40), primary_key=True),
    sql.Column("text", sql.Text, nullable=False),
)
jobs = sql.Table(
    "jobs",
    meta,
    sql.Column("name", sql.String(200), primary_key=True),
    sql.Column("release", sql.BigInteger, nullable=False),
    sql.Column("deadline", sql.BigInteger, nullable=False, index=True),
    sql.Column("energy_mwh", sql.Double, nullable=False),
    sql.Column("max_mw", sql.Double, nullable=False),
    sql.Column("min_mw", sql.Double, nullable=False),
    sql.Column("regions", sql.Text, nullable=False),
    sql.Column("home", sql.String(200)),
    sql.Column("checkpoint_cost_mwh", sql.Double, nullable=False),
    sql.Column("state", sql.String(16), nullable=False, index=True),
    sql.Column("why", sql.Text, nullable=False),
    sql.Column("left_mwh", sql.Double, nullable=False),
)
work = sql.Table(
    "work",
    meta,
    sql.Column("slot", sql.BigInteger, primary_key=True),
    sql.Column("job", sql.String(200), primary_key=True),
    sql.Column("region", sql.String(200), primary_key=True),
    sql.Column("mw", sql.Double, nullable=False),
)
TIMES = ("slot", "at", "until", "release", "deadline")
"""Columns that count seconds."""
of_slots = {
    "series": series.c.slot,
    "tables": tables.c.slot,
    "signals": signals.c.slot,
    "events": events.c.at,
    "jobs": jobs.c.deadline,
    "work": work.c.slot,
}
