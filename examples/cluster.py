"""A plan on a Ray cluster: a private one on this machine, or a running one that you name.

python cluster.py                              # starts a private Ray and ends it again
python cluster.py --address auto               # the cluster that this node belongs to
python cluster.py --address 10.0.0.7:6379      # the cluster with its head there
"""

from __future__ import annotations

import argparse

import eglb


def main() -> None:
    # 1. Where the agents run.
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--address", default="local", help="local, auto or HOST:PORT")
    address = parser.parse_args().address

    # 2. A generated fleet of four regions and a day.
    fleet = eglb.load("synthetic:4x24,seed=3")

    # 3. Two regions share an actor, so four regions take two processes. On a cluster whose nodes carry
    #    the label `region`, leave this out: then each region's agent runs on a node of its region.
    plan = eglb.solve(fleet, "admm", gap=1e-3, address=address, regions_per_actor=2)
    print(plan)
    assert plan.status == "converged" and plan.actors == 2

    # 4. The same agents in this process reach the same plan: Ray changes where they run, not what they say.
    here = eglb.solve(fleet, "admm", gap=1e-3, address="inprocess")
    assert abs(plan.audit.objective - here.audit.objective) <= 1e-6 * here.audit.objective
    print(f"{plan.actors} actors and this process agree: {plan.audit.objective:,.2f} USD")

    # A private Ray is gone when `solve` returns. A running cluster stays as it was, without the actors.


if __name__ == "__main__":
    main()
