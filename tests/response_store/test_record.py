"""The document of one response."""

import json
from dataclasses import replace

import pytest

from inference.response_store.record import StoredResponse, UnreadableRecord
from tests.response_store.records import record


def test_a_record_comes_back_as_it_was_written() -> None:
    written = record(owner="tenant/subject", text="día 🌞 \ud800 \x00", context=({"n": 1}, {"n": 2}))
    assert StoredResponse.decode(written.encode()) == written


def test_a_document_has_its_version_and_its_keys_in_order() -> None:
    written = record("resp_1")
    document = json.loads(written.encode())
    assert document["schema"] == 1
    assert list(document) == ["schema", "id", "owner", "created", "expires", "response", "items", "context"]
    assert list(document["response"]) == list(written.response)


def test_a_document_of_another_version_is_not_read() -> None:
    document = {**json.loads(record().encode()), "schema": 2}
    with pytest.raises(UnreadableRecord, match="expected a record of version 1, not 2"):
        StoredResponse.decode(json.dumps(document).encode())


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"7", b"\xff", b'{"schema":1}', record().encode()[:-1], b"[" * 100_000]
)
def test_bytes_that_are_no_record_are_not_read(content: bytes) -> None:
    with pytest.raises(UnreadableRecord):
        StoredResponse.decode(content)


def test_other_items_make_another_record() -> None:
    first = record("resp_1")
    assert replace(first, items=()) != first
