"""``eglb simulate``: hour by hour, with only what was known at each hour."""

from __future__ import annotations

from pathlib import Path

import click

from eglb.cli import options, streams


class _ListsPolicies(click.Command):
    """Help that ends with policies, forecasts and estimates, read only when somebody asks for help."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from eglb.coordinator.online.policies import POLICIES
        from eglb.planning.online.forecasts import FORECAST_MEANING
        from eglb.planning.online.policies import policy_parameters
        from eglb.sims.replay.estimate_errors import ESTIMATES
        from eglb.sims.replay.simulation import FEEDBACK

        policies = [
            (name, f"{meaning}{'; ' if policy_parameters(name) else ''}{policy_parameters(name)}")
            for name, (_, meaning) in POLICIES.items()
        ]
        for title, lines in (
            ("Policies (NAME or NAME:key=value,...)", policies),
            ("Forecasts (NAME or NAME:key=value,..., or module.Class)", list(FORECAST_MEANING.items())),
            ("Estimates", list(ESTIMATES.items())),
            ("Feedback", list(FEEDBACK.items())),
        ):
            with formatter.section(title):
                formatter.write_dl(lines)


@click.command("simulate", cls=_ListsPolicies, short_help="Hour by hour, with only what was known.")
@options.scenario_options
@click.option("--policy", metavar="NAME", default="soft", show_default=True, help="Listed below.")
@click.option(
    "--forecast",
    metavar="NAME",
    default="none",
    show_default=True,
    help="Forecast of later slots; listed below.",
)
@options.history_option
@click.option(
    "--estimates",
    metavar="NAME",
    default="exact",
    show_default=True,
    help="How far footprint estimates are off until meters are read; listed below.",
)
@click.option(
    "--feedback",
    metavar="NAME",
    default="calibrated",
    show_default=True,
    help="What meter readings are used for; listed below.",
)
@click.option(
    "--meter-delay",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Number of slots until meters are read; 1 means before the next slot.",
)
@click.option(
    "--period",
    metavar="whole|month|SLOTS",
    default="whole",
    show_default=True,
    help="Accounting period: footprints start from zero in each.",
)
@click.option(
    "--declared-slots",
    type=click.IntRange(min=1),
    help="Length of a period that the policy is told, if it is not the true one.",
)
@click.option("--no-offline", is_flag=True, help="Do not compare with the best plan that knows all hours.")
@click.option("--no-certificate", is_flag=True, help="Keep no running certificate.")
@options.weight_option
@options.place_options("inprocess")
@options.out_option
@options.output_options
def simulate_command(
    scenario: str,
    data: Path | None,
    seed: int | None,
    policy: str,
    forecast: str,
    history: str | None,
    estimates: str,
    feedback: str,
    meter_delay: int,
    period: str,
    declared_slots: int | None,
    no_offline: bool,
    no_certificate: bool,
    weights: options.Weights,
    address: str,
    regions_per_actor: int | None,
    out: Path | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Replay SCENARIO hour by hour: every slot is planned before the next one is known.

    The same agents answer, with forecasts and footprint estimates that may be wrong and meters that are read
    later. The result is set beside the best plan that knows all hours. Jobs become known at their release,
    and are admitted if they can be done in time beside what gateways may ask for.
    """
    from eglb.cli.progress import SlotsShown
    from eglb.sims.replay.simulation import simulate

    with streams.stdout_kept_clean(), streams.staging(out) as folder:
        fleet = options.load_weighted(scenario, data, seed, weights)
        before = options.history_of(fleet, scenario, history, data, seed)
        with SlotsShown(f"{fleet.name} {policy}", fleet.slots, quiet=quiet) as shown:
            run = simulate(
                fleet,
                policy,
                forecast=forecast,
                history=before,
                estimates=estimates,
                feedback=feedback,
                meter_delay=meter_delay,
                period=period,
                declared_slots=declared_slots,
                certify=not no_certificate,
                offline=not no_offline,
                address=address,
                regions_per_actor=regions_per_actor,
                on_slot=shown.slot,
            )
        if folder is not None:
            from eglb.sims.replay.storage import write_simulation

            write_simulation(run, folder)
            streams.write_report(run.problem, folder)
    streams.print_result(run, as_json, quiet, out)
    return 0
