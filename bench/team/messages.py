"""What the coordinator and its workers say to each other, over Locust's own connection (msgpack, nothing pickled).

A message is a kind and plain data: numbers, text, bytes, lists and maps.  What comes from outside is checked before use.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from bench.errors import UsageError
from bench.scenario.model import Scenario
from bench.scenario.schedule import Schedule
from bench.team.shares import Holding, Share

PROTOCOL = 1
"""Raised when a message changes, so that versions that do not fit find out at once."""

HELLO, REFUSED, PART, READY, CONNECTED = "shop_hello", "shop_refused", "shop_part", "shop_ready", "shop_connected"
PING, PONG, BEGIN, FRAME = "shop_ping", "shop_pong", "shop_begin", "shop_frame"
ADOPT, STOP, ENDED, BYE = "shop_adopt", "shop_stop", "shop_ended", "shop_bye"

TO_COORDINATOR = (HELLO, READY, CONNECTED, PONG, FRAME, ENDED)
TO_WORKER = (REFUSED, PART, PING, BEGIN, ADOPT, STOP, BYE)

_LONGEST = 80
"""Characters of a name or a place that are kept."""


@dataclass(frozen=True, slots=True)
class Hello:
    """How a worker introduces itself."""

    protocol: int
    version: str
    name: str
    place: str
    """Host and process."""
    regions: tuple[str, ...]
    """Those it serves; none for all."""
    token: str = ""
    """Shows that it is a child of the coordinator."""

    @classmethod
    def of(cls, data: Any) -> Self:
        """Return the introduction in a message; ValueError when it is none."""
        if not isinstance(data, dict):
            raise ValueError("not an introduction")
        version, name, place = (_printable(data.get(key, "")) for key in ("version", "name", "place"))
        regions = tuple(str(region) for region in data.get("regions") or ())
        return cls(int(data.get("protocol", 0)), version, name, place, regions, str(data.get("token", "")))

    def data(self) -> dict[str, Any]:
        """Return it as a message's data."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Part:
    """What a worker is to play, and everything that decides it; without passwords."""

    worker: str
    run_id: str
    run_tag: str
    scenario: str
    """JSON."""
    settings: Mapping[str, Any]
    schedule_digest: str
    target: Mapping[str, Any]
    """Of ``bench.target.base.Target``, but for its gateways' passwords and its function."""
    share: Share
    sale_regions: tuple[str, ...] = field(default=())
    """All regions of the run, the primary first."""

    @classmethod
    def of(cls, text: str) -> Self:
        """Return the part in a message's JSON text; UsageError when it is not one."""
        try:
            data = json.loads(text)
            data["share"] = share_of(data["share"])
            data["sale_regions"] = tuple(data["sale_regions"])
            return cls(**data)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UsageError("the coordinator sent a part that cannot be read", cause=str(error)) from None

    def text(self) -> str:
        """Return it as JSON text."""
        return json.dumps(asdict(self))

    def read_scenario(self) -> Scenario:
        """Return the scenario; pydantic's ValidationError when it is none."""
        return Scenario.model_validate_json(self.scenario)


def _printable(text: Any) -> str:
    return "".join(char for char in str(text) if char.isprintable())[:_LONGEST]


def share_of(data: Any) -> Share:
    """Return the share in plain data; KeyError, TypeError or ValueError when it is none."""
    users = {str(region): int(count) for region, count in data["users"].items()}
    holdings = tuple(Holding(str(h["region"]), int(h["which"]), int(h["count"])) for h in data["holdings"])
    players = {str(region): tuple(int(n) for n in numbers) for region, numbers in data["players"].items()}
    return Share(users, holdings, players)


def share_data(share: Share) -> dict[str, Any]:
    """Return a share as plain data."""
    return asdict(share)


def digest(schedule: Schedule) -> str:
    """Return a fingerprint of a schedule: two processes that draw it from one seed must have the same."""
    found = hashlib.sha256()
    for column in (schedule.due_ns, schedule.session, schedule.region, schedule.phase, schedule.seed):
        found.update(column.tobytes())
    return found.hexdigest()
