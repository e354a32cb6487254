"""TLS objects that are used without a detour through Python do what those of `ssl` do."""

import ssl
from contextlib import suppress
from pathlib import Path

import pytest

from mailnode.tls_records import DirectTlsObject, read_directly
from self_signed import make_certificate

Ends = tuple[ssl.SSLObject, ssl.SSLObject]


@pytest.fixture
def ends(tmp_path: Path) -> Ends:
    """Make a server's and a client's end that have shaken hands."""
    server_context = read_directly(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    server_context.load_cert_chain(*make_certificate(tmp_path, "example.org"))
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.check_hostname = False
    client_context.verify_mode = ssl.CERT_NONE
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    client = client_context.wrap_bio(to_client, to_server)
    for _ in range(3):
        for end in (client, server):
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
    return server, client


def test_functions_that_are_called_for_each_record_are_not_python(ends: Ends) -> None:
    server, _ = ends

    assert isinstance(server, DirectTlsObject)
    for function in (server.read, server.write, server.pending):
        assert not hasattr(function, "__code__")
        assert not hasattr(function, "__func__")


def test_what_is_written_is_read(ends: Ends) -> None:
    server, client = ends

    assert server.write(b"greeting") == 8
    assert client.read(100) == b"greeting"
    client.write(b"command")
    assert server.read(3) == b"com"
    assert server.pending() == 4
    buffer = bytearray(10)
    server.read(10, buffer)
    assert buffer[:4] == b"mand"
    assert server.pending() == 0
    with pytest.raises(ssl.SSLWantReadError):
        server.read(10)


def test_end_of_the_connection_is_told(ends: Ends) -> None:
    server, client = ends

    with pytest.raises(ssl.SSLWantReadError):
        client.unwrap()

    assert server.read(10) == b""
