"""A storage that breaks TLS, HTTP or its encodings: an error for the operator, of whatever library."""

from __future__ import annotations

import gc
import ssl
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from urllib3.exceptions import ProtocolError, SSLError

from inference.blobs.client import open_container, translate_errors
from inference.blobs.errors import BlobError, StorageUnreachable
from inference.blobs.listing import Blob, BlobFolder, list_files, read_card
from inference.settings import Container
from tests.support.network_faults import (
    BODY_FAULTS,
    ENCODING_FAULTS,
    HEAD_FAULTS,
    Fault,
    Tls,
    answering,
    faulty_server,
    head,
    trusted_certificate,
)

# urllib3 leaves the sockets of broken connections to the garbage collector, which closes them with a warning.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Close these sockets before the next test."""
    yield
    gc.collect()


SPOILT: dict[str, Fault] = {
    "XML that is cut": answering(head("Content-Type: application/xml", "Content-Length: 9") + b"<a><b></a"),
    "no XML": answering(head("Content-Type: application/xml", "Content-Length: 2") + b"{}"),
}
FAULTS = {**HEAD_FAULTS, **BODY_FAULTS, **ENCODING_FAULTS, **SPOILT}


def errors_of(fault: Fault, *, tls: bool = False) -> list[BlobError]:
    """Return the errors of listing a container and of reading a card."""
    errors = []
    with faulty_server(fault, tls=tls) as server:
        container = Container(f"{server.url}/account", "models")
        card = Blob("model.json", "model.json", "etag", 2, None)
        with open_container(container, key="a2V5", backoff=0) as client:
            for action in (
                lambda: list(list_files(client, container)),
                lambda: read_card(client, BlobFolder(container, "", (card,))),
            ):
                with pytest.raises(BlobError) as caught:
                    action()
                errors.append(caught.value)
    return errors


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_of_http_is_an_error_of_the_storage(name: str) -> None:
    assert len(errors_of(FAULTS[name])) == 2


def test_every_fault_of_tls_is_an_error_of_the_storage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = Tls(trusted_certificate(tmp_path, monkeypatch))
    for fault in {**tls.handshake, **tls.head, **tls.body}.values():
        assert len(errors_of(fault, tls=True)) == 2


@pytest.mark.parametrize(
    "error", [ssl.SSLError("bad record"), SSLError("bad record"), ProtocolError("cut"), zlib.error("no gzip")]
)
def test_errors_that_the_sdk_lets_through_are_errors_of_the_storage(error: Exception) -> None:
    with (
        pytest.raises(StorageUnreachable, match="Reading a: the storage's answer broke off"),
        translate_errors("Reading a"),
    ):
        raise error
