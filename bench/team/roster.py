"""Who plays in a run of several processes: children started, workers welcomed or refused, and who is still there."""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bench import __version__
from bench.errors import TargetError
from bench.team import messages
from bench.team.children import Charge, Team
from bench.team.members import Member, State, WorkerRecord
from bench.team.messages import Hello
from bench.team.office import Letter, Office


@dataclass(frozen=True, slots=True)
class Crew:
    """Who is to play: so many processes here, so many that join from elsewhere, at which address."""

    local: int
    remote: int = 0
    host: str = "127.0.0.1"
    port: int = 0

    @property
    def total(self) -> int:
        """Workers in all."""
        return self.local + self.remote


@dataclass(slots=True)
class Roster:
    """The workers of one run; ``regions`` are the run's, ``tell`` takes a line for the user."""

    crew: Crew
    regions: Sequence[str]
    tell: Callable[[str], None]
    members: dict[str, Member] = field(default_factory=dict)
    has_begun: bool = False
    _team: Team = field(default_factory=Team)
    _tokens: dict[str, str] = field(default_factory=dict)

    def start_children(self, office: Office, gateways: Mapping[str, Sequence[str]]) -> None:
        """Start the workers of this machine, and say where the others are waited for."""
        host = "127.0.0.1" if self.crew.host in ("*", "0.0.0.0") else self.crew.host
        for number in range(1, self.crew.local + 1):
            name, token = f"w{number}", secrets.token_hex(16)
            self._tokens[token] = name
            self._team.start(Charge(name, token, gateways), f"{host}:{office.port}")
        if self.crew.remote:
            self.tell(f"waiting   for {self.crew.remote} workers from elsewhere on {self.crew.host}:{office.port}")

    def welcome(self, office: Office, letter: Letter) -> None:
        """Take a worker in, or refuse it."""
        try:
            hello = Hello.of(letter.data)
        except (ValueError, TypeError):
            return
        # A child shows by its token who it is, and is never refused.
        name = self._tokens.pop(hello.token, "")
        refusal = "" if name else self.objection(hello)
        if refusal:
            office.send(letter.client, messages.REFUSED, refusal)
            self.tell(f"refused   a worker from {hello.place}: {refusal}")
            return
        if not name:
            name = hello.name or f"r{len(self._remote()) + 1}"
            where = f", for {', '.join(hello.regions)}" if hello.regions else ""
            self.tell(f"joined    {name} from {hello.place}{where}")
        self.members[name] = Member(name, letter.client, hello)

    def objection(self, hello: Hello) -> str:
        """Return why a worker from elsewhere cannot join; empty when it can."""
        unknown = [region for region in hello.regions if region not in self.regions]
        if (hello.protocol, hello.version) != (messages.PROTOCOL, __version__):
            return f"it is bench {hello.version}, this is bench {__version__}"
        if unknown:
            return f"region '{unknown[0]}' is not in this run (it has: {', '.join(self.regions)})"
        if self.has_begun or len(self._remote()) >= self.crew.remote:
            return "this run waits for no more workers"
        if hello.name in self.members or hello.name in self._tokens.values():
            return f"a worker is called '{hello.name}' already"
        return ""

    def _remote(self) -> list[str]:
        return [name for name in self.members if name not in self._team.children]

    def sort(self) -> None:
        """Put the workers in the order of their names, whoever came first: shares then come out the same each time."""
        self.members = dict(sorted(self.members.items()))

    def of(self, client: str) -> Member | None:
        """Return the worker that Locust knows by this id."""
        return next((member for member in self.members.values() if member.client == client), None)

    @property
    def live(self) -> list[Member]:
        """Those of whom more is expected."""
        return [member for member in self.members.values() if member.is_live]

    def all_are(self, state: State) -> bool:
        """Whether every worker has come so far."""
        return all(member.state == state for member in self.members.values())

    def records(self) -> tuple[WorkerRecord, ...]:
        """Return what is to be kept of the workers."""
        return tuple(member.record() for member in self.members.values())

    def missing(self, office: Office) -> Iterator[tuple[Member, str]]:
        """Yield those who have gone without saying how it ended, and how that shows."""
        for member in self.live:
            code = self._code(member.name) if office.inbox.empty() else None
            if code is not None:
                yield (
                    member,
                    (f"its process was ended by signal {-code}" if code < 0 else f"its process ended with {code}"),
                )
            elif office.has_left(member.client):
                yield member, "it left"
            elif self.has_begun and office.is_silent(member.client):
                # Before the run a worker may be too busy preparing; then there is a time limit for that.
                yield member, "it was not heard of any more"

    def require_children(self, office: Office) -> None:
        """Raise TargetError when a process of this machine has ended before it joined."""
        for name, child in self._team.children.items():
            if name not in self.members and office.inbox.empty() and child.code is not None:
                raise TargetError(f"worker {name} ended before it joined", cause=child.last_words() or None)

    def _code(self, name: str) -> int | None:
        child = self._team.children.get(name)
        return None if child is None else child.code

    def last_words(self, name: str) -> str:
        """Return what a process of this machine printed as its error before it ended; empty where it is not known."""
        child = self._team.children.get(name)
        return "" if child is None or child.code is None else child.last_words()

    def give_up(self, office: Office, member: Member) -> None:
        """See to it that a lost worker does not come back: what it still would play is others' by then."""
        child = self._team.children.get(member.name)
        if child is not None:
            child.kill()
        else:
            office.send(member.client, messages.STOP, ["interrupted", "given up as lost", True])

    def dismiss(self, office: Office) -> None:
        """Let all workers go; those of this machine have ended by the return."""
        for member in self.members.values():
            office.send(member.client, messages.BYE)
        office.close()
        self._team.end()
