"""A real server whose content filter or endpoint breaks TLS or compression: refusals, and no traceback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.http.filtered import write_filtered
from tests.http.servers import Server, running
from tests.support.network_faults import (
    ENCODING_FAULTS,
    TEXT_FAULTS,
    Fault,
    FaultyServer,
    Tls,
    faulty_server,
    trusted_certificate,
)

SAY: list[Any] = [{"role": "user", "content": "Say something."}]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        yield trusted_certificate(tmp_path_factory.mktemp("certificate"), patch)


@pytest.fixture(scope="module")
def tls(certificate: Path) -> Tls:
    return Tls(certificate)


@pytest.fixture(scope="module")
def faulty(tls: Tls) -> Iterator[FaultyServer]:
    with faulty_server(tls.head["a bad record before the head"], tls=True) as server:
        yield server


@pytest.fixture(scope="module")
def front(workplace: Path, faulty: FaultyServer, certificate: Path) -> Iterator[Server]:
    """A server with a remote deployment."""
    folder = workplace / "broken-network" / "far"
    folder.mkdir(parents=True)
    remote = {"url": faulty.url, "dialect": "openai", "model": "theirs", "retries": 0}
    card = {"name": "far", "provider": "tests", "type": "chat-completions", "backend": "remote"}
    (folder / "model.json").write_text(json.dumps({**card, "remote": remote}))
    log = workplace / "broken-network.log"
    with running(folder.parent, log, SSL_CERT_FILE=str(certificate)) as server:
        yield server


@pytest.mark.parametrize("stream", [False, True])
def test_faults_of_an_endpoint_are_refusals_that_clients_repeat(
    front: Server, faulty: FaultyServer, tls: Tls, stream: bool
) -> None:
    for name, fault in {**tls.handshake, **tls.head, **tls.body}.items():
        faulty.faults = [fault]
        answer = front.chat("far", messages=SAY, stream=stream)
        assert answer.status_code in (502, 503), name
        assert answer.json()["code"] in ("upstream_failed", "upstream_unreachable"), name
        assert answer.headers["Retry-After"] == "2", name
    assert "Traceback" not in front.log.read_text()


def test_the_openai_client_sees_a_bad_record_as_an_error_of_the_server(
    front: Server, faulty: FaultyServer, tls: Tls
) -> None:
    faulty.faults = [tls.head["a bad record before the head"]]
    before = faulty.connections
    client = openai.OpenAI(base_url=f"{front.url}/openai/v1", api_key="any", max_retries=1)
    with client, pytest.raises(openai.InternalServerError) as refused:
        client.chat.completions.create(model="far", messages=SAY)
    assert (refused.value.status_code, refused.value.code) == (503, "upstream_unreachable")
    assert faulty.connections == before + 2


def safety_faults(tls: Tls) -> dict[str, Fault]:
    read = {**ENCODING_FAULTS, **TEXT_FAULTS}
    return {
        **tls.handshake,
        **tls.head,
        **tls.body,
        **{name: tls.over(fault) for name, fault in read.items()},
    }


@pytest.mark.parametrize("side", ["INPUT", "OUTPUT"])
def test_faults_of_the_content_filter_let_nothing_pass(
    workplace: Path, faulty: FaultyServer, tls: Tls, certificate: Path, side: str
) -> None:
    models = workplace / "broken-filter" / side
    models.mkdir(parents=True)
    write_filtered(models)
    settings = {
        "INFERENCE_CONTENT_SAFETY_ENDPOINT": faulty.url,
        "INFERENCE_CONTENT_SAFETY_KEY": "any",
        f"INFERENCE_CONTENT_SAFETY_{'OUTPUT' if side == 'INPUT' else 'INPUT'}": "off",
        "SSL_CERT_FILE": str(certificate),
    }
    with running(models, workplace / f"broken-filter-{side}.log", **settings) as server:
        for name, fault in safety_faults(tls).items():
            faulty.faults = [fault]
            for stream in (False, True):
                answer = server.chat("polite", messages=SAY, stream=stream)
                refusal = (answer.status_code, answer.json()["code"], answer.headers["Retry-After"])
                assert refusal == (503, "content_safety_unavailable", "2"), (name, stream)
        assert "Traceback" not in server.log.read_text()
