"""azure-storage-blob, opened for a container: who we are, how often we try, and what its errors mean.

Imported where a container is used only: the SDK takes a third of a second.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from inference.blobs.errors import BlobChanged, BlobDenied, BlobError, BlobGone, StorageUnreachable
from inference.settings import Container

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

PART = 8 * 1024 * 1024
"""Bytes of one range. Ranges of 4 MiB were fetched at half the speed by four threads on two cores."""
CONNECT_SECONDS = 10
READ_SECONDS = 30
"""How long a connection may be silent."""
BACKOFF = 1
REFUSED = 400
"""The first HTTP status of those that carry no content."""
TRIES = 3
"""Repetitions of one request; the caller goes on from there with what it has."""


def open_container(
    container: Container, *, key: str = "", sas: str = "", backoff: int = BACKOFF
) -> ContainerClient:
    """A client by the address's own signature, `sas`, `key`, or the app's identity, in this order.

    `backoff`: seconds before the first repetition; they grow.
    """
    from azure.storage.blob import ContainerClient, ExponentialRetry

    return ContainerClient(
        container.account,
        container.name,
        credential=_credential(container, key, container.sas or sas),
        retry_policy=ExponentialRetry(
            initial_backoff=backoff,
            increment_base=2 * backoff,
            retry_total=TRIES,
            random_jitter_range=backoff,
        ),
        max_single_get_size=PART,
        max_chunk_get_size=PART,
        connection_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        raw_response_hook=_release,
    )


def _release(response: Any) -> None:
    """Ends the body of a refusal: the SDK leaves it unread when it tries again, and the connection open."""
    answer = response.http_response
    if answer.status_code >= REFUSED:
        answer.internal_response.close()


def _credential(container: Container, key: str, sas: str) -> Any:
    if sas:
        from azure.core.credentials import AzureSasCredential

        return AzureSasCredential(sas)
    if key:
        from azure.core.credentials import AzureNamedKeyCredential

        return AzureNamedKeyCredential(_account(container), key)
    from azure.identity import DefaultAzureCredential

    return DefaultAzureCredential()


def _account(container: Container) -> str:
    """The account's name: the host's first label, or the path where the host is an emulator's."""
    host, _, path = container.account.partition("://")[2].partition("/")
    return path or host.split(".")[0]


@contextmanager
def told(what: str) -> Iterator[None]:
    """Turns the SDK's errors into ours. Their texts hold addresses with signatures and are not repeated."""
    from azure.core import exceptions as azure

    try:
        yield
    except azure.ClientAuthenticationError as error:
        raise BlobDenied(f"{what}: {_refusal(error)}") from None
    except azure.ResourceNotFoundError as error:
        raise BlobGone(f"{what}: {_refusal(error)}") from None
    except azure.ResourceModifiedError:
        raise BlobChanged(f"{what}: it was replaced while it was read") from None
    except azure.HttpResponseError as error:
        if error.status_code is None:  # a body that ended before its length was reached
            raise StorageUnreachable(f"{what}: the storage's answer broke off") from None
        refused = error.status_code in (401, 403)
        raise (BlobDenied if refused else BlobError)(f"{what}: {_refusal(error)}") from None
    except azure.AzureError as error:
        raise StorageUnreachable(f"{what}: the storage cannot be reached ({type(error).__name__})") from None
    except (OSError, ValueError) as error:
        # A connection that breaks inside a body reaches us bare, and so does what no XML reader can read.
        raise StorageUnreachable(f"{what}: the storage's answer broke off ({type(error).__name__})") from None


def _refusal(error: Any) -> str:
    status, code = getattr(error, "status_code", None), getattr(error, "error_code", None)
    if status is None:
        return "no token could be had for the app's identity"
    return f"the storage answered {status} {getattr(code, 'value', code) or ''}".rstrip()
