"""Addresses of any cluster, CockroachDB Cloud's among them, reach the driver as they were given.

The server is PostgreSQL without TLS: that it refuses what was asked for is how we see that it was asked for.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from tests_support import HANG_S

from bench.cli.options import parse_target
from bench.db.connection import any_of, connect, open_or_explain, place_of, redact, with_database, without_password
from bench.errors import TargetError, UsageError

TLS = "sslmode=verify-full&sslrootcert=/etc/ssl/certs/ca-certificates.crt"
# The form of ccloud-reference.md and connection-parameters.md ("--cluster": sets options=-ccluster=<name>).
CLOUD = f"postgresql://shop:p%40ss@blue-dog-147.gcp-us-east4.cockroachlabs.cloud:26257/shop?{TLS}&options=--cluster%3Dblue-dog-147"
HOSTS = f"postgresql://shop@10.0.0.1:26257,10.0.0.2:26258/shop?{TLS}&load_balance_hosts=random"


@pytest.fixture
def place(pg_url: str) -> str:
    return f"{pg_url}?"


def test_tls_that_was_asked_for_is_not_given_up(place):
    with pytest.raises(psycopg.OperationalError, match="server does not support SSL, but SSL was required"):
        connect(place + "sslmode=verify-full&sslrootcert=system")
    with pytest.raises(TargetError) as caught:
        open_or_explain(place + "sslmode=verify-full&sslrootcert=system")
    assert "SSL was required" in str(caught.value.cause)


@pytest.fixture
def tls_port() -> Iterator[int]:
    """Where a server says yes to TLS, and no more."""

    def agree(listener: socket.socket) -> None:
        with contextlib.suppress(OSError), listener.accept()[0] as client:
            client.recv(8)
            client.sendall(b"S")
            client.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(HANG_S)
        thread = threading.Thread(target=agree, args=(listener,))
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def test_a_root_certificate_that_is_missing_is_named(tls_port, tmp_path):
    place = f"postgresql://shop@127.0.0.1:{tls_port}/shop"
    with pytest.raises(TargetError) as caught:
        open_or_explain(f"{place}?sslmode=verify-full&sslrootcert={tmp_path}/ca.crt")
    assert f'"{tmp_path}/ca.crt" does not exist' in str(caught.value.cause)


@pytest.mark.parametrize("option", ["--cluster%3Dblue-dog-147", "-ccluster%3Dblue-dog-147"])
def test_the_name_of_the_cluster_reaches_the_server(place, option):
    """Which is CockroachDB Cloud's proxy; PostgreSQL knows no such setting."""
    with pytest.raises(psycopg.OperationalError, match='unrecognized configuration parameter "cluster"'):
        connect(f"{place}options={option}")


def test_an_option_that_is_not_encoded_is_explained():
    with pytest.raises(UsageError) as caught:
        open_or_explain(CLOUD.replace("%3D", "="))
    assert "%3D for = in options" in str(caught.value.hint)


def test_options_of_the_url_are_beside_ours(place):
    with connect(f"{place}options=-c%20geqo%3Doff", options=("statement_timeout=1234",)) as connection:
        shown = [connection.execute(f"SHOW {name}").fetchone()[0] for name in ("geqo", "statement_timeout", "timezone")]
    assert shown == ["off", "1234ms", "UTC"]


def test_of_several_hosts_one_that_answers_is_used(pg_url):
    port = urlsplit(pg_url).port
    with connect(pg_url.replace(f"127.0.0.1:{port}", f"127.0.0.1:1,127.0.0.1:{port}")) as connection:
        assert connection.info.port == port


@pytest.mark.parametrize("url", [CLOUD, HOSTS], ids=["cloud", "hosts"])
def test_what_we_do_with_an_address_keeps_its_parameters(url):
    given = conninfo_to_dict(url)
    assert conninfo_to_dict(with_database(url, "other")) == {**given, "dbname": "other"}
    assert conninfo_to_dict(without_password(url)) == {key: text for key, text in given.items() if key != "password"}
    assert conninfo_to_dict(any_of([url])) == given
    options = parse_target(url, (f"eu-west={url}",), None, None)
    assert (options.url, options.by_region) == (url, {"eu-west": (url,)})
    assert "p%40ss" not in redact(url)
    assert "p@ss" not in place_of(url)


def test_gateways_of_one_cluster_are_one_address_of_several_hosts():
    urls = [CLOUD.replace("us-east4", region) for region in ("us-east4", "europe-west1")]
    merged = conninfo_to_dict(any_of(urls))
    assert merged["host"] == ",".join(urlsplit(url).hostname for url in urls)
    assert (merged["sslmode"], merged["options"]) == ("verify-full", "--cluster=blue-dog-147")
