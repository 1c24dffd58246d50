"""What happens when a worker is lost: its unreported sessions are written off, others take over or the run stops."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.errors import UsageError
from bench.load.plan import Plan
from bench.load.wishes import Wishes
from bench.metrics.frame import Event
from bench.metrics.recorder import Recorder
from bench.scenario.schedule import Schedule
from bench.team import messages
from bench.team.losses import Book, write_off
from bench.team.members import Member
from bench.team.messages import share_data
from bench.team.office import Office
from bench.team.roster import Roster
from bench.team.shares import Share, hand_over
from bench.units import NS_PER_S

TAKE_OVER_AFTER_S = 0.5
"""From the loss of a worker to the first arrival that others play for it: time to connect the users for them."""


@dataclass(slots=True)
class Succession:
    """Keeps what each worker has to play, and account of those that were lost."""

    plan: Plan
    roster: Roster
    recorder: Recorder
    tell: Callable[[str], None]
    faults: list[str] = field(default_factory=list)
    gaps_unix_s: list[float] = field(default_factory=list)
    dropped: int = 0
    _newcomers: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._newcomers = dict(self.plan.users)

    def arrivals(self, share: Share) -> list[Schedule]:
        """Return the arrivals of a share; none in a closed model, where users make their own."""
        if self.plan.scenario.model == "closed":
            return []
        return share.parts(self.plan.schedule, [region.name for region in self.plan.scenario.regions])

    def spawn(self, office: Office) -> None:
        """Have every worker spawn the users that it should have by now."""
        office.spawn({member.client: sum(member.share.users.values()) for member in self.roster.live})

    def lose(self, office: Office, member: Member, why: str, now_s: float, ending_s: float | None) -> str:
        """Take account of a lost worker; return why the run has to stop, or an empty text when it goes on.

        ``ending_s`` is since when the run is ending anyway, None when it is not.
        """
        member.state, member.lost_s, member.detail = "lost", now_s, why
        self.gaps_unix_s.append(time.time())
        self.roster.give_up(office, member)
        from_s, objection = now_s, ""
        if ending_s is not None:
            from_s, text = min(now_s, ending_s), "the run was ending"
        else:
            objection = self._hand_over(office, member, now_s + TAKE_OVER_AFTER_S)
            from_s = now_s if objection else now_s + TAKE_OVER_AFTER_S
            text = (
                f"the run was stopped{objection}" if objection else f"others took over its arrivals from {from_s:.1f} s"
            )
        lost = f"worker {member.name} was lost at {now_s:.1f} s"
        account = f"{lost} ({why}); {text}; {self._write_off(member, now_s, from_s)}"
        self.faults.append(account)
        self.recorder.event(Event(now_s, "worker_lost", account))
        self.tell(f"lost      {account}")
        return lost if objection else ""

    def _write_off(self, member: Member, now_s: float, from_s: float) -> str:
        silent_ns = max(0, int((now_s - member.heard_s) * NS_PER_S))
        scenario = self.plan.scenario
        wishes = Wishes(self.plan.user_class, self.plan.state, self.recorder)
        book = Book(self.recorder, wishes.missed)
        loss = write_off(member.ledger, member.parts, scenario, book, int(from_s * NS_PER_S), silent_ns)
        self.dropped += loss.dropped
        return f"{loss.dropped} of its arrivals count as dropped, {loss.unfinished} of its sessions as unfinished"

    def _hand_over(self, office: Office, member: Member, from_s: float) -> str:
        """Share out what a lost worker had among the others; return what keeps from it, as the end of a sentence."""
        if self.plan.scenario.on_lost_worker == "stop":
            return ", as the scenario says"
        others = {m.name: m.serving for m in self.roster.live if m.state == "playing"}
        try:
            shares = hand_over(member.share, others, self._newcomers)
        except UsageError as error:
            return f", because {error.message}"
        since_ns = int(from_s * NS_PER_S)
        for name, share in shares.items():
            other = self.roster.members[name]
            other.share = other.share.with_more(share)
            other.parts += [part.since(since_ns) for part in self.arrivals(share)]
            # Before Locust's order to spawn the users: a worker has to know their regions by then.
            office.send(other.client, messages.ADOPT, [share_data(share), since_ns])
        for region, count in member.share.users.items():
            self._newcomers[region] += count
        self.spawn(office)
        return ""
