"""Connections that come to nothing over TLS: why, and what to do, by the words of the real driver."""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests_support import HANG_S

from bench.db.connection import open_or_explain
from bench.errors import BenchError
from tests.db.wire_double import Refusal, WireDouble

# Of `localhost`, signed by itself, and nobody's secret: made for these tests by `openssl ca`, good from 2020 to 2120.
CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg/KktqebJIqDir2hR
OmlcbKl3ZIoO7sJZ/sfe8bEgvP6hRANCAATAEruONw7yftC6j8k/sL9/djtegU9K
fFSbn+7HumpucNcM/wn2S7sqOM8eHB2I8Zi3wuds9W1+dKo1CVxQuAG0
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBczCCARqgAwIBAgIUC6WTz5mP79WYGS1KtTeCMeykbeEwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAx
MDAwMDAwWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAATAEruONw7yftC6j8k/sL9/djtegU9KfFSbn+7HumpucNcM/wn2S7sq
OM8eHB2I8Zi3wuds9W1+dKo1CVxQuAG0o0gwRjAPBgNVHRMBAf8EBTADAQH/MB0G
A1UdDgQWBBQskhATQSJYT690QVW0IxCmAV8kSTAUBgNVHREEDTALgglsb2NhbGhv
c3QwCgYIKoZIzj0EAwIDRwAwRAIgUvwmuKFh1wtywNWXqF61vOpxvrdiLrfkg8Si
szsISMQCIGFvGUs66+UTdU9tTxTZ1fsVONA3mMUbPTviVil7pY+7
-----END CERTIFICATE-----
"""
REFUSED = b"SFATAL\0VFATAL\0C57P03\0Mwho asks over TLS comes this far\0\0"
TRUST = "pass sslrootcert=PATH of the cluster's CA; for sslrootcert=system set SSL_CERT_FILE=$(python -m certifi)"


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The certificate in a file; what the machine trusts beside it is out of the way."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "server.pem"
    path.write_text(CERTIFICATE)
    return path


@pytest.fixture
def port(certificate: Path) -> Iterator[int]:
    """A server that takes part in the handshake, and refuses whoever gets through it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(HANG_S)

        def serve() -> None:
            with contextlib.suppress(OSError), listener.accept()[0] as client:
                client.settimeout(HANG_S)
                client.recv(8)
                client.sendall(b"S")
                with context.wrap_socket(client, server_side=True) as secure:
                    secure.recv(4096)
                    secure.sendall(b"E" + struct.pack("!i", 4 + len(REFUSED)) + REFUSED)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(HANG_S)


def told(url: str) -> BenchError:
    with pytest.raises(BenchError) as caught:
        open_or_explain(url)
    return caught.value


def verified(port: int, host: str, root: Path | str) -> BenchError:
    parameters = f"hostaddr=127.0.0.1&gssencmode=disable&sslmode=verify-full&sslrootcert={root}"
    return told(f"postgresql://shop@{host}:{port}/shop?{parameters}")


def test_a_certificate_that_nobody_vouches_for(port: int) -> None:
    error = verified(port, "localhost", "system")
    assert error.message == f"no TLS connection to database 'shop' on localhost:{port}"
    assert "certificate verify failed" in str(error.cause)
    assert error.hint == TRUST


def test_a_file_of_roots_that_is_not_there(port: int, tmp_path: Path) -> None:
    error = verified(port, "localhost", tmp_path / "none.crt")
    assert (error.message.startswith("no TLS connection"), error.hint) == (True, TRUST)
    assert "root certificate file" in str(error.cause)


def test_a_certificate_of_another_host(port: int, certificate: Path) -> None:
    error = verified(port, "elsewhere", certificate)
    assert "does not match host name" in str(error.cause)
    assert error.hint == "name the host in the URL as its certificate does"


def test_the_roots_that_the_hint_names_are_those_of_the_driver(
    port: int, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    error = verified(port, "localhost", "system")
    assert error.message.startswith("cannot reach"), error.cause
    assert str(error.cause).endswith("who asks over TLS comes this far")


def test_a_server_without_tls() -> None:
    with WireDouble() as double:
        error = told(double.url().replace("disable", "require"))
    assert "does not support SSL" in str(error.cause)
    assert error.hint == "check the port; a server without TLS takes sslmode=disable"


@pytest.mark.parametrize(
    ("refusal", "hint"),
    [
        (
            Refusal("08P01", "node is running secure mode, SSL connection required"),
            "add sslmode=verify-full and sslrootcert=PATH of the cluster's CA to the URL",
        ),
        (Refusal("28000", "connection requires a valid client certificate"), "check sslcert and sslkey in the URL"),
    ],
    ids=lambda value: getattr(value, "sqlstate", ""),
)
def test_a_server_that_asks_for_tls(refusal: Refusal, hint: str) -> None:
    with WireDouble(greetings=[refusal]) as double:
        error = told(double.url())
    assert error.message.startswith("no TLS connection")
    assert error.hint == hint
