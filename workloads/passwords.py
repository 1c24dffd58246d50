"""Passwords: stored as bcrypt, checked without paying for bcrypt.

A bcrypt of cost 10 takes some 60 ms of CPU.  Where a shop's application servers do that, many cores share it; in the one
process of a load generator it would delay every other shopper and show as slowness of the database.  Seeded and registered
users have one of eight real hashes whose clear text is known, so a table gives bcrypt's own verdict, tested against bcrypt.
A hash that is not among them matches nothing.
"""

from bench.data.customers import PASSWORD_HASHES

KNOWN = {hashed: f"shopbench-{number}" for number, hashed in enumerate(PASSWORD_HASHES.words)}
"""Clear text by bcrypt hash."""
HASHES = tuple(KNOWN)


def password_of(hashed: str) -> str:
    """Return the clear text of a hash; empty when it is not one of ours."""
    return KNOWN.get(hashed, "")


def is_right(password: str, hashed: str) -> bool:
    """Return what bcrypt would say of a password and a hash of ours."""
    return bool(password) and KNOWN.get(hashed) == password
