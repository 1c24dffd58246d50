"""No form of a connection string gives its password away."""

import pytest

from bench.db.connection import place_of, redact

SECRETS = ("secret", "p@ss", "two words", "a@b")


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("postgresql://shop:secret@db:26257/shop", "postgresql://shop:***@db:26257/shop"),
        ("postgresql://:secret@db/shop", "postgresql://:***@db/shop"),
        ("postgresql://shop:p@ss@db/shop", "postgresql://shop:***@db/shop"),
        (
            "postgresql://shop@db/shop?password=a@b&sslmode=require",
            "postgresql://shop@db/shop?password=***&sslmode=require",
        ),
        ("postgresql://shop@db/shop?sslpassword=secret", "postgresql://shop@db/shop?sslpassword=***"),
        ("host=db password=p@ss user=shop", "host=db password=*** user=shop"),
        ("host=db password='two words' user=shop", "host=db password=*** user=shop"),
        (r"password='it\'s secret' host=db", "password=*** host=db"),
        ("host=db password = secret", "host=db password = ***"),
        ("postgresql://shop@db/shop", "postgresql://shop@db/shop"),
    ],
)
def test_redact(given: str, shown: str) -> None:
    assert redact(given) == shown
    assert not any(secret in place_of(given) for secret in SECRETS)
