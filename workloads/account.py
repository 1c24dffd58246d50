"""Accounts: register, log in, the address book, past orders, reviews.

Outcomes that are a legitimate no: ``email_taken``, ``username_taken``, ``unknown_user``, ``wrong_password``,
``account_closed``, ``no_such_order``, ``nothing_to_review``, ``already_reviewed``.
"""

from collections.abc import Mapping
from random import Random
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

from bench.db.retry import OK, Business, Conflict, Done, Outcome, Transaction
from bench.db.session import Rows, Session

from .browse import LATEST, SECOND_PAGE, Body, Browsing
from .passwords import HASHES, is_right, password_of
from .world import Shopper

WORDS = ("Not for me.", "Could be better.", "It is fine.", "Good buy.", "I would buy it again.")


class Account(NamedTuple):
    """What a registration asks for; drawn before the first attempt and the same in each."""

    region: str
    email: str
    username: str
    password_hash: str
    first_name: str
    last_name: str
    address: Mapping[str, Any]


class Accounts(Browsing):
    """Sessions about the shopper's own account."""

    abstract = True
    exchanges: ClassVar[Mapping[str, int]] = {"register": 9, "log_in": 5, "history": 4, "review": 7}

    # -- sessions

    def register(self, rng: Random) -> None:
        """Look around, open an account, log in and add an address for bills."""
        self.view(self.world.popular_item(rng), rng)
        account = self._new_account(rng)
        done = self.transact("register", register(account), rng)
        if done.kind != OK:
            return
        region, user_id = self.region, done.value
        self.read("log_in", log_in(account.email, password_of(account.password_hash)), rng)
        if rng.random() < 0.5:
            billing = {**account.address, "type": "billing", "is_default": False}
            self.transact("add_address", add_address(region, user_id, billing), rng)

    def log_in(self, rng: Random) -> None:
        """Log in and see to the account: addresses, or the state of an order."""
        shopper = self.world.shopper(self.region, rng)
        done = self.come_in(shopper, rng)
        if done.kind != OK:
            # Mistyped, once: the second try succeeds.
            done = self.read("log_in", log_in(shopper.email, shopper.password), rng)
        if done.kind == OK and rng.random() < 0.4:
            self._tidy_addresses(shopper, rng)
        elif done.kind == OK:
            self._follow_orders(shopper, rng)

    def history(self, rng: Random) -> None:
        """Log in, leaf through past orders and open one."""
        shopper = self.world.shopper(self.region, rng)
        if self.come_in(shopper, rng).kind == OK:
            self._follow_orders(shopper, rng)

    def review(self, rng: Random) -> None:
        """Read reviews, vote for one, and write one of something that was delivered."""
        shopper = self.world.shopper(self.region, rng)
        found = self.read_reviews(self.world.popular_item(rng), rng)
        if found and rng.random() < 0.7:
            region, review_id = rng.choice(found)[:2]
            # A lost answer is repeated and may count twice, which nobody minds: no lock, no memory of who voted.
            self.read("vote_helpful", vote_helpful(region, review_id), rng)
        if self.come_in(shopper, rng).kind != OK:
            return
        delivered = self.read("find_delivered", delivered_items(self.region, shopper.id), rng)
        if delivered.value:
            order_id, product_id = rng.choice(delivered.value)
            rating = rng.choices((1, 2, 3, 4, 5), (1, 1, 2, 4, 6))[0]
            self.transact("write_review", write_review(self.region, shopper.id, (order_id, product_id), rating), rng)

    # -- steps

    def come_in(self, shopper: Shopper, rng: Random) -> Done:
        """Log in by e-mail address or user name; some mistype the password."""
        is_mistyped = rng.random() < self.state.settings.wrong_password_share
        password = shopper.password + "!" if is_mistyped else shopper.password
        name = shopper.email if rng.random() < 0.7 else shopper.username
        return self.read("log_in", log_in(name, password), rng)

    def _follow_orders(self, shopper: Shopper, rng: Random) -> None:
        page = self.read("order_history", order_history(self.region, shopper.id, rng), rng).value
        if page:
            self.read("order_status", order_status(self.region, shopper.id, rng.choice(page)[1]), rng)

    def _tidy_addresses(self, shopper: Shopper, rng: Random) -> None:
        book = self.read("address_book", list_addresses(self.region, shopper.id), rng).value or []
        if len(book) < 5:
            kind = rng.choice(("shipping", "billing"))
            address = {**_address(shopper), "street": f"{rng.randint(1, 999)} {shopper.street}"[:255]}
            new = {**address, "type": kind, "is_default": False}
            self.transact("add_address", add_address(self.region, shopper.id, new), rng)
        if book:
            address_id = rng.choice(book)[0]
            self.read("make_default", make_default(self.region, shopper.id, address_id), rng)

    def _new_account(self, rng: Random) -> Account:
        someone = self.world.shopper(self.region, rng)
        tag = f"{rng.getrandbits(64):016x}.{self.state.run_tag}"
        email, username = f"shopper.{tag}@example.com", f"shopper.{tag}"
        if rng.random() < self.state.settings.taken_share:
            # Of anyone, anywhere: the other regions' users count as well.
            other = self.world.shopper(rng.choice(tuple(self.world.shoppers)), rng)
            email, username = (other.email, username) if rng.random() < 0.5 else (email, other.username)
        first, _, last = someone.name.partition(" ")
        shipping = {**_address(someone), "type": "shipping", "is_default": True}
        return Account(self.region, email, username, rng.choice(HASHES), first, last, shipping)


def _address(shopper: Shopper) -> dict[str, Any]:
    where = {"street": shopper.street, "city": shopper.city}
    return {**where, "postal_code": shopper.postal_code, "country": shopper.country}


def register(account: Account) -> Transaction:
    """Return the transaction that opens an account with a first address: its value is the new user's id."""
    names = {"email": account.email, "username": account.username}

    def body(session: Session) -> UUID:
        taken = {kind for (kind,) in session.execute("find_taken_names", names)}
        if taken:
            raise Business("email_taken" if "email" in taken else "username_taken")
        person = {"first_name": account.first_name, "last_name": account.last_name}
        params = {"region": account.region, **names, **person, "password_hash": account.password_hash}
        rows = session.execute("insert_user", params)
        if not rows:
            # Taken between the look and the insert: begin again, and say which of the two it was.
            raise Conflict("registered_meanwhile")
        user_id: UUID = rows[0][0]
        session.execute("insert_address", {"region": account.region, "user_id": user_id, **account.address})
        return user_id

    def resolve(session: Session) -> UUID | None:
        # Both names carry the run's tag and 64 random bits: who has both is who we wanted to be.
        found = session.execute("find_user_by_email", {"email": account.email})
        return found[0][1] if found and found[0][2] == account.username else None

    return Transaction(body, resolve=resolve)


def log_in(name: str, password: str) -> Body:
    """Fetch the account by e-mail address or user name and compare the password, in the client."""
    statement, key = ("find_user_by_email", "email") if "@" in name else ("find_user_by_username", "username")

    def body(session: Session) -> UUID | Outcome:
        found = session.execute(statement, {key: name})
        if not found:
            return Outcome("unknown_user")
        _, user_id, _, hashed, status = found[0]
        if not is_right(password, hashed):
            return Outcome("wrong_password")
        return user_id if status == "active" else Outcome("account_closed")

    return body


def list_addresses(region: str, user_id: UUID) -> Body:
    """The address book."""
    return lambda session: session.execute("list_addresses", {"region": region, "user_id": user_id})


def add_address(region: str, user_id: UUID, address: Mapping[str, Any]) -> Transaction:
    """Return the transaction that adds another address; its value is the id."""
    key = {"region": region, "user_id": user_id}
    ids: set[UUID] = set()  # one of each attempt

    def body(session: Session) -> UUID:
        new: UUID = session.execute("insert_address", {**key, **address})[0][0]
        ids.add(new)
        return new

    def resolve(session: Session) -> UUID | None:
        book: set[UUID] = {row[0] for row in session.execute("list_addresses", key)}
        return next(iter(book & ids), None)

    return Transaction(body, resolve=resolve)


def make_default(region: str, user_id: UUID, address_id: UUID) -> Body:
    """Make an address the only default of its type."""
    params = {"region": region, "user_id": user_id, "address_id": address_id}

    def body(session: Session) -> int | Outcome:
        return len(session.execute("make_default_address", params)) or Outcome("no_such_address")

    return body


def order_history(region: str, user_id: UUID, rng: Random) -> Body:
    """One or two pages of past orders; the one last shown."""
    second = rng.random() < SECOND_PAGE
    key = {"region": region, "user_id": user_id}

    def body(session: Session) -> Rows:
        page = session.execute("order_history", {**key, **LATEST})
        if second and page:
            last = page[-1]
            page = session.execute("order_history", {**key, "before": last[5], "before_id": last[0]}) or page
        return page

    return body


def order_status(region: str, user_id: UUID, number: str) -> Body:
    """An order with its lines and coupons."""
    params = {"region": region, "user_id": user_id, "order_number": number}

    def body(session: Session) -> Rows | Outcome:
        found = session.execute("order_status", params)
        if not found:
            return Outcome("no_such_order")
        key = {"region": region, "order_id": found[0][0]}
        items = session.execute("items_of_order", key)
        if found[0][5]:
            session.execute("coupons_of_order", key)
        return items

    return body


def delivered_items(region: str, user_id: UUID) -> Body:
    """What may be reviewed and has not been: (order, product) pairs."""
    params = {"region": region, "user_id": user_id}

    def body(session: Session) -> Rows | Outcome:
        delivered = session.execute("delivered_items", params)
        if not delivered:
            return Outcome("nothing_to_review")
        reviewed = {(order_id, product_id) for product_id, order_id, *_ in session.execute("reviews_of_user", params)}
        # All reviewed already: offered again, and refused, as by a page that was left open.
        return [row for row in delivered if row not in reviewed] or delivered

    return body


def write_review(region: str, user_id: UUID, bought: tuple[UUID, UUID], rating: int) -> Transaction:
    """Return the transaction that writes a review of a delivered (order, product)."""
    words = {"rating": rating, "title": WORDS[rating - 1].rstrip("."), "review_text": WORDS[rating - 1]}
    key = {"region": region, "user_id": user_id}
    params = {**key, "order_id": bought[0], "product_id": bought[1], **words}

    def resolve(session: Session) -> UUID | None:
        found = session.execute("reviews_of_user", key)
        return bought[1] if any((row[1], row[0]) == bought for row in found) else None

    def body(session: Session) -> UUID:
        rows = session.execute("insert_review", params)
        if not rows:
            raise Business("already_reviewed")
        return bought[1]

    return Transaction(body, resolve=resolve)


def vote_helpful(region: str, review_id: UUID) -> Body:
    """Find a review helpful."""
    params = {"region": region, "review_id": review_id}
    return lambda session: session.execute("vote_helpful", params)
