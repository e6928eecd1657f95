"""A store in a blob container, which all instances of an app share: one blob a response.

The path of a blob begins with a digest of its owner, so that another owner's request leads nowhere, and ends
with an id that was checked. A blob is only ever created, never overwritten, and deleted in the version read.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar

from inference.blobs.client import open_container, translate_errors
from inference.blobs.errors import BlobChanged, BlobError, BlobGone
from inference.errors import ResponseStoreUnavailable
from inference.response_store.ids import is_response_id
from inference.response_store.record import Item, StoredResponse, UnreadableRecord
from inference.response_store.store import check_size, encoded, unavailable
from inference.settings import Container

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

log = logging.getLogger(__name__)
Result = TypeVar("Result")

THREADS = 8
"""Requests to the storage at once."""
SECONDS = 5
"""Seconds that the storage may be silent, and with `RETRIES` what one call may take at most."""
RETRIES = 2
BACKOFF_SECONDS = 0.25
"""Seconds before the first retry: a caller waits, where a fetch of a model has time."""
PROBE = "probe"
"""The name of a blob that is never there: asking for it shows whether the storage answers again."""
DIGEST_CHARACTERS = 32


class BlobStore:
    """Responses in a container, or in a folder of one."""

    def __init__(
        self,
        container: Container,
        largest: int,
        *,
        key: str = "",
        backoff: float = BACKOFF_SECONDS,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._container = container
        self._largest = largest
        self._key = key
        self._backoff = backoff
        self._now = now
        self._client: ContainerClient | None = None
        self._away: float | None = None
        """When the storage failed last, in seconds since the epoch; None if it has answered since."""
        self._answered = False
        """True if the last request succeeded: the storage is there, and the credential is good."""
        self._threads = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="responses")

    async def check(self, items: Sequence[Item], context: Sequence[Item]) -> None:
        """Refuse a turn that is too large, or any until the storage has answered, again after a failure."""
        check_size(items, context, self._largest)
        if not self._answered:
            await self._run(self._probe)

    async def put(self, record: StoredResponse) -> None:
        """Keep a response. See `ResponseStore`."""
        content = encoded(record, self._largest)
        await self._run(lambda: self._put(record, content))

    async def get(self, response_id: str, owner: str) -> StoredResponse | None:
        """Return a response of an owner, or None."""
        found = await self._found(response_id, owner)
        return None if found is None else found[0]

    async def delete(self, response_id: str, owner: str) -> bool:
        """Delete a response of an owner and return True; False where there is none."""
        found = await self._found(response_id, owner)
        return found is not None and await self._run(lambda: self._delete(response_id, owner, found[1]))

    async def aclose(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await asyncio.get_running_loop().run_in_executor(self._threads, client.close)
        self._threads.shutdown(wait=False)

    async def _found(self, response_id: str, owner: str) -> tuple[StoredResponse, str] | None:
        """Return a record and the version of its blob; None for one that has expired."""
        if not is_response_id(response_id):
            return None
        found = await self._run(lambda: self._get(response_id, owner))
        if found is None or found[0].owner != owner or found[0].expires <= self._now():
            return None
        return found

    async def _run(self, work: Callable[[], Result]) -> Result:
        """Return the result of work in a thread. Raises `ResponseStoreUnavailable`."""
        if self._away is not None and 0 <= self._now() - self._away < ResponseStoreUnavailable.seconds:
            # No queue of requests that all wait for a storage that does not answer.
            raise unavailable()
        try:
            result = await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except BlobError as error:
            self._away, self._answered = self._now(), False
            log.warning("Responses cannot be kept in %s: %s", self._container, error)
            raise unavailable() from None
        self._away, self._answered = None, True
        return result

    def _put(self, record: StoredResponse, content: bytes) -> None:
        from azure.core.exceptions import ResourceExistsError
        from azure.storage.blob import ContentSettings

        if not is_response_id(record.id):
            raise ValueError(f"{record.id!r} is no response's id")
        blob = self._blob(record.id, record.owner)
        with translate_errors("Keeping a response"):
            try:
                blob.upload_blob(
                    content,
                    overwrite=False,
                    content_settings=ContentSettings(content_type="application/json"),
                )
            except ResourceExistsError as error:
                # A repetition after an answer that was lost; the id is random, so the blob is this record. A
                # container that is being deleted has the same status.
                if getattr(error, "error_code", "") != "BlobAlreadyExists":
                    raise

    def _get(self, response_id: str, owner: str) -> tuple[StoredResponse, str] | None:
        try:
            with translate_errors("Reading a response"):
                stream = self._blob(response_id, owner).download_blob(max_concurrency=1, encoding=None)
                content, version = stream.readall(), str(stream.properties.etag)
            return StoredResponse.decode(content), version
        except BlobGone as error:
            self._require_container(error)
        except UnreadableRecord as error:
            log.warning("A kept response cannot be read: %s", error)
        return None

    def _delete(self, response_id: str, owner: str, version: str) -> bool:
        from azure.core import MatchConditions

        try:
            with translate_errors("Deleting a response"):
                self._blob(response_id, owner).delete_blob(
                    etag=version, match_condition=MatchConditions.IfNotModified
                )
        except (BlobGone, BlobChanged):
            return False
        return True

    def _probe(self) -> None:
        try:
            with translate_errors("Reaching the storage"):
                self._open().get_blob_client(self._path(PROBE)).get_blob_properties()
        except BlobGone as error:
            self._require_container(error)

    def _require_container(self, error: BlobGone) -> None:
        """Raise the error of a blob that is not there where its whole container is not."""
        if "ContainerNotFound" in str(error):
            raise error

    def _blob(self, response_id: str, owner: str) -> Any:
        digest = sha256(owner.encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST_CHARACTERS]
        return self._open().get_blob_client(self._path(f"{digest}/{response_id}.json"))

    def _path(self, name: str) -> str:
        return f"{self._container.prefix}/{name}" if self._container.prefix else name

    def _open(self) -> ContainerClient:
        """Return the client, made with the first request: importing the SDK takes a third of a second."""
        if self._client is None:
            self._client = open_container(
                self._container,
                key=self._key,
                backoff=self._backoff,
                retries=RETRIES,
                read_seconds=SECONDS,
            )
        return self._client
