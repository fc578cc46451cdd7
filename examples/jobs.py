"""Work that can wait: a table of jobs, and what a later deadline and more regions buy."""

from __future__ import annotations

from pathlib import Path

import eglb


# 1. A fleet folder may hold a table `jobs`. Energy is IT energy, power that of the whole job.
def write(folder: Path, deadline: str, regions: str) -> None:
    """A small fleet with two training jobs."""
    folder.mkdir()
    hours = range(24)
    tables = {
        "scenario.toml": 'name = "training"\nslot_hours = 1.0\n\n'
        '[equity.carbon]\nweight = 300.0\nunit = "t"\n',
        "regions.csv": "region,lat,lon,capacity_mw,pue\n"
        "oregon,45.6,-121.2,40,1.12\ntexas,32.8,-96.8,40,1.2\n",
        "gateways.csv": "gateway,lat,lon\nwest,37.8,-122.4\neast,40.7,-74.0\n",
        # Demand and prices are high in the evening, and lower from 22:00 on.
        "demand.csv": "time_utc,west,east\n"
        + "".join(f"2024-07-01T{h:02}:00Z,{14 + (h > 15) * 4},{16 + (h > 15) * 6}\n" for h in hours),
        "price.csv": "time_utc,oregon,texas\n"
        + "".join(f"2024-07-01T{h:02}:00Z,{60 - (h >= 18) * 25},{45 - (h >= 18) * 20}\n" for h in hours),
        "carbon.csv": "time_utc,oregon,texas\n"
        + "".join(f"2024-07-01T{h:02}:00Z,{0.15},{0.40 - (h >= 18) * 0.1:.2f}\n" for h in hours),
        "jobs.csv": "job,energy_mwh,release_utc,deadline_utc,max_mw,regions\n"
        f"train-a,40,2024-07-01T06:00Z,{deadline},10,{regions}\n"
        f"train-b,30,2024-07-01T08:00Z,{deadline},6,{regions}\n",
    }
    for name, text in tables.items():
        (folder / name).write_text(text, encoding="utf-8")


def main() -> None:
    # 2. The same jobs four times: due soon or late, in one region or in both.
    soon, late = "2024-07-01T14:00Z", "2024-07-02T00:00Z"
    costs = {}
    for when, deadline in (("soon", soon), ("late", late)):
        for where, regions in (("texas", "texas"), ("anywhere", "")):
            folder = Path(f"{when}-{where}")
            write(folder, deadline, regions)
            # 3. Demand and jobs are planned in one go, with the same certificate.
            plan = eglb.solve(eglb.load(folder), "newton", gap=1e-6, address="inprocess")
            assert plan.status == "converged"
            costs[when, where] = plan.audit.objective
            print(f"due {when}, may run {where:9} {plan.audit.objective:10,.2f} USD")

    # 4. More freedom never costs more. Here those who wait gain nothing more by moving.
    tight = costs["soon", "texas"]
    print(f"waiting saves {1 - costs['late', 'texas'] / tight:.1%}")
    print(f"moving  saves {1 - costs['soon', 'anywhere'] / tight:.1%}")
    print(f"both    save  {1 - costs['late', 'anywhere'] / tight:.1%}")
    slack = 1 + 2e-6  # each plan is certified to a millionth
    assert costs["late", "texas"] < tight and costs["soon", "anywhere"] < tight
    assert costs["late", "anywhere"] <= slack * min(costs["late", "texas"], costs["soon", "anywhere"])

    # 5. Hour by hour a job is known at its release. It is admitted only if it can be done whatever comes.
    run = eglb.simulate(eglb.load(Path("late-anywhere")), "soft")
    print(run.admission)
    assert not run.admission.missed


if __name__ == "__main__":
    main()
