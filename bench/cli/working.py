"""What a worker makes of the part that it is sent: a plan with connections of its own."""

from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from bench.cli.options import TargetOptions
from bench.cli.own_session import closing_session, own_session
from bench.cli.planning import load_user_class
from bench.cli.statements import run_catalogue
from bench.db.connection import open_or_explain
from bench.errors import UsageError
from bench.load.gateways import gateway_connector
from bench.load.plan import Plan
from bench.load.user import Setup
from bench.load.waiting import install_native_wait, prove_concurrency
from bench.scenario.schedule import make_schedule
from bench.target.base import Target
from bench.team.messages import Part
from bench.team.shares import joined
from bench.team.worker import Prepared


def prepare_part(part: Part, own: TargetOptions, told: Mapping[str, Sequence[str]]) -> Prepared:
    """Return the plan of a part.

    The gateways are ``told`` by a parent process, or the worker's ``own``, or those of the part, whose passwords come from
    PGPASSWORD or a password file.  UsageError or TargetError when the part cannot be played from here.
    """
    try:
        scenario = part.read_scenario()
    except ValidationError as error:
        raise UsageError("the coordinator sent a scenario that cannot be read", cause=str(error)) from None
    user_class = load_user_class(scenario.workload.user)
    target = _target(part, own, told)
    regions = tuple(region.name for region in scenario.regions)
    for region in part.share.users:
        # A refusal to connect is explained once, before many users run into it.
        open_or_explain(target.gateways[region][0]).close()
    install_native_wait()
    home = next(iter(part.share.users))
    prove_concurrency(gateway_connector(target, home, scenario, part.run_id))
    catalogue = run_catalogue(user_class, target.dialect)
    with closing_session(own_session(target, home, scenario, part.run_id, catalogue)) as session:
        setup = Setup(session, part.sale_regions, part.settings, scenario.seed, part.run_tag, writes=False)
        state = user_class.prepare(setup)
    whole = make_schedule(scenario, scenario.seed)
    players = dict(part.share.players)
    mine = joined(part.share, whole, regions)
    plan = Plan(
        scenario, mine, target, user_class, catalogue, state, part.run_id, dict(part.share.users), players=players
    )
    return Prepared(plan, whole)


def _target(part: Part, own: TargetOptions, told: Mapping[str, Sequence[str]]) -> Target:
    given = dict(part.target)
    gateways = {region: tuple(urls) for region, urls in given.pop("gateways").items()}
    if told:
        gateways = {region: tuple(urls) for region, urls in told.items()}
    elif own.url or own.gateways:
        if own.url:
            gateways = dict.fromkeys(gateways, (own.url,))
        gateways.update({region: urls for region, urls in own.by_region.items() if region in gateways})
    return Target(gateways=gateways, **given)
