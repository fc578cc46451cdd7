"""A fleet of your own: write its folder by hand, check it, plan it, and recompute the certificate."""

from __future__ import annotations

from pathlib import Path

import eglb

# 1. A fleet is a folder of small tables. `eglb scenario new DIR` writes a larger one, with comments.
TABLES = {
    "scenario.toml": """\
        name = "two-cities"
        slot_hours = 1.0

        [equity.carbon]
        weight = 250.0      # USD per t of the worst region's total
        unit = "t"
        """,
    "regions.csv": """\
        region,lat,lon,capacity_mw,pue
        hamburg,53.55,9.99,120,1.25
        madrid,40.42,-3.70,90,1.30
        """,
    "gateways.csv": """\
        gateway,lat,lon
        north,52.5,13.4
        south,41.9,12.5
        """,
    "demand.csv": """\
        time_utc,north,south
        2024-07-01T08:00Z,61.5,48.0
        2024-07-01T09:00Z,66.0,52.5
        2024-07-01T10:00Z,70.2,60.0
        2024-07-01T11:00Z,72.0,63.5
        """,
    "price.csv": """\
        time_utc,hamburg,madrid
        2024-07-01T08:00Z,92.10,71.30
        2024-07-01T09:00Z,88.40,55.20
        2024-07-01T10:00Z,74.00,31.05
        2024-07-01T11:00Z,61.75,-2.40
        """,
    "carbon.csv": """\
        time_utc,hamburg,madrid
        2024-07-01T08:00Z,0.412,0.128
        2024-07-01T09:00Z,0.380,0.117
        2024-07-01T10:00Z,0.331,0.104
        2024-07-01T11:00Z,0.298,0.099
        """,
}


def write(folder: Path, tables: dict[str, str]) -> None:
    """Write every table, without the indent that it has in this file."""
    folder.mkdir(exist_ok=True)
    for name, text in tables.items():
        lines = [line.strip() for line in text.splitlines()]
        (folder / name).write_text("\n".join(lines).strip() + "\n", encoding="utf-8")


def main() -> None:
    folder = Path("two-cities")

    # 2. Loading is checking: all that is wrong is said at once, with file, column and row.
    write(folder, {**TABLES, "demand.csv": TABLES["demand.csv"].replace("48.0", "-48.0")})
    try:
        eglb.load(folder)
    except eglb.InputError as error:
        print("refused:", *error.problems, sep="\n  ")

    # 3. Put it right and load it.
    write(folder, TABLES)
    fleet = eglb.load(folder)
    print(f"{fleet.name}: {len(fleet.regions)} regions, {len(fleet.gateways)} gateways, {fleet.slots} slots")

    # 4. Plan it. "inprocess" runs the agents in this process, without Ray.
    plan = eglb.solve(fleet, gap=1e-4, address="inprocess")
    print(plan)

    # 5. The certificate. No plan can cost less than the lower bound, so this one is at most `gap` off.
    print(f"cost {plan.audit.objective:,.2f} USD, no plan below {plan.audit.lower_bound:,.2f} USD")

    # 6. You need not believe the solver: plan and prices are enough to recompute it from the tables.
    again = eglb.audit(fleet, plan.route, plan.demand_price, plan.equity_price)
    assert again.gap == plan.audit.gap <= 1e-4
    assert max(again.violations.values()) < 1e-6
    print(f"recomputed: gap {again.gap:.1e}, constraints kept")


if __name__ == "__main__":
    main()
