"""The store in a blob container."""

from __future__ import annotations

import json
import socket
from hashlib import sha256

import pytest

from inference.errors import ResponseStoreUnavailable
from inference.response_store.blob import BlobStore
from inference.response_store.ids import new_response_id
from inference.settings import Container
from tests.blobs.storage import ACCOUNT, KEY, Bucket, Storage
from tests.response_store.records import record
from tests.response_store.stores import LARGEST, Clock

WRONG_KEY = KEY[::-1]


@pytest.fixture
def bucket(storage: Storage) -> Bucket:
    return storage.container()


def opened(container: Container, *, key: str = KEY, now: Clock | None = None) -> BlobStore:
    return BlobStore(container, LARGEST, key=key, backoff=0, now=now or Clock())


def closed_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def nowhere() -> Container:
    return Container(f"http://127.0.0.1:{closed_port()}/{ACCOUNT}", "responses")


async def test_a_response_is_one_blob_of_json_below_its_owners_digest(bucket: Bucket) -> None:
    kept = record(owner="tenant/one")
    store = opened(bucket.at("kept"))
    await store.put(kept)
    (blob,) = bucket.client.list_blobs()
    assert blob.name == f"kept/{sha256(b'tenant/one').hexdigest()[:32]}/{kept.id}.json"
    assert blob.content_settings.content_type == "application/json"
    assert json.loads(bucket.client.download_blob(blob.name).readall())["response"] == kept.response
    await store.aclose()


async def test_a_signature_opens_the_container_too(bucket: Bucket) -> None:
    kept = record()
    store = opened(bucket.at(sas=bucket.sas("rcd")), key="")
    await store.put(kept)
    assert await store.get(kept.id, "") == kept
    assert await store.delete(kept.id, "")
    await store.aclose()


async def test_a_signature_that_may_only_read_keeps_nothing_and_says_so(
    bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    container = bucket.at(sas=bucket.sas("r"))
    store = opened(container, key="")
    with pytest.raises(ResponseStoreUnavailable) as caught:
        await store.put(record())
    assert "the storage answered 403" in caplog.text
    for text in (caplog.text, caught.value.message):
        assert container.sas not in text
        assert "sig=" not in text
    await store.aclose()


async def test_a_wrong_key_is_a_refusal_and_no_missing_response(bucket: Bucket) -> None:
    store = opened(bucket.at(), key=WRONG_KEY)
    with pytest.raises(ResponseStoreUnavailable):
        await store.get(new_response_id(), "")
    await store.aclose()


async def test_a_container_that_is_not_there_is_a_refusal_and_no_missing_response(storage: Storage) -> None:
    clock = Clock()
    store = opened(Container(f"{storage.url}/{ACCOUNT}", "never-made"), now=clock)
    kept = record()
    for call in (store.get(kept.id, ""), store.put(kept), store.delete(kept.id, ""), store.check([], [])):
        clock.time += 10
        with pytest.raises(ResponseStoreUnavailable):
            await call
    await store.aclose()


async def test_a_storage_that_is_away_is_refused_before_the_next_turn_runs_until_it_is_back(
    bucket: Bucket,
) -> None:
    clock = Clock()
    store = opened(nowhere(), now=clock)
    with pytest.raises(ResponseStoreUnavailable) as caught:
        await store.check([], [])
    assert caught.value.headers == {"Retry-After": "2"}
    clock.time += 3
    with pytest.raises(ResponseStoreUnavailable):
        await store.check([], [])
    store._client = opened(bucket.at())._open()
    with pytest.raises(ResponseStoreUnavailable):  # the time of Retry-After is not over
        await store.check([], [])
    clock.time += 3
    await store.check([], [])
    await store.put(record())
    await store.aclose()


async def test_a_response_that_was_replaced_meanwhile_is_not_deleted(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = record()
    store = opened(bucket.at())
    await store.put(kept)
    delete = store._delete

    def later(response_id: str, owner: str, version: str) -> bool:
        (blob,) = bucket.client.list_blobs()
        bucket.put(blob.name, b"another")
        return delete(response_id, owner, version)

    monkeypatch.setattr(store, "_delete", later)
    assert not await store.delete(kept.id, "")
    assert len(list(bucket.client.list_blobs())) == 1
    await store.aclose()


async def test_a_record_that_cannot_be_read_is_not_found(
    bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    kept = record()
    store = opened(bucket.at())
    await store.put(kept)
    (blob,) = bucket.client.list_blobs()
    bucket.put(blob.name, b'{"schema":2}')
    assert await store.get(kept.id, "") is None
    assert "expected a record of version 1, not 2" in caplog.text
    await store.aclose()


async def test_a_record_moved_to_another_owner_is_not_shown(bucket: Bucket) -> None:
    kept = record(owner="tenant/one")
    store = opened(bucket.at())
    await store.put(kept)
    digest = sha256(b"tenant/two").hexdigest()[:32]
    bucket.put(f"{digest}/{kept.id}.json", kept.encode())
    assert await store.get(kept.id, "tenant/two") is None
    await store.aclose()


@pytest.mark.parametrize("foreign", ["resp_../../x", "", "msg_1"])
async def test_no_path_is_made_of_an_id_of_another_form(foreign: str) -> None:
    store = opened(nowhere())
    assert await store.get(foreign, "") is None
    assert not await store.delete(foreign, "")
    with pytest.raises(ValueError, match="is no response's id"):
        await store.put(record(foreign or "resp_"))
    await store.aclose()
