"""Clients of azure-storage-blob for containers: credentials, retries, and the SDK's errors as ours.

The SDK takes a third of a second to import, so functions import it where a container is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from inference.blobs.errors import BlobChanged, BlobDenied, BlobError, BlobGone, StorageUnreachable
from inference.settings import Container

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

RANGE_BYTES = 8 * 1024 * 1024
"""Bytes of one range. Ranges of 4 MiB were fetched at half the rate by four threads on two cores."""
CONNECT_SECONDS = 10
READ_SECONDS = 30
"""Seconds that a connection may be silent."""
BACKOFF = 1
RETRIES = 3
"""Retries of one request; the caller resumes with the ranges it has."""
FIRST_ERROR_STATUS = 400


def open_container(
    container: Container,
    *,
    key: str = "",
    sas: str = "",
    backoff: float = BACKOFF,
    retries: int = RETRIES,
    read_seconds: float = READ_SECONDS,
) -> ContainerClient:
    """Return a client by the address's own signature, `sas`, `key`, or the app's identity: the first set.

    `backoff` is the seconds before the first retry; they grow with each further one. A connection may be
    silent for `read_seconds`, and takes at most as long to open.
    """
    from azure.storage.blob import ContainerClient, ExponentialRetry

    # Any: annotated as whole numbers, and only ever added, raised to a power and slept.
    waits: dict[str, Any] = {
        "initial_backoff": backoff,
        "increment_base": 2 * backoff,
        "random_jitter_range": backoff,
    }
    return ContainerClient(
        container.account,
        container.name,
        credential=_credential(container, key, container.sas or sas),
        retry_policy=ExponentialRetry(**waits, retry_total=retries),
        max_single_get_size=RANGE_BYTES,
        max_chunk_get_size=RANGE_BYTES,
        connection_timeout=min(CONNECT_SECONDS, read_seconds),
        read_timeout=read_seconds,
        raw_response_hook=_close_error_body,
    )


def _close_error_body(response: Any) -> None:
    """Close the body of an error response, which the SDK leaves unread, its connection open, on a retry."""
    http_response = response.http_response
    if http_response.status_code >= FIRST_ERROR_STATUS:
        http_response.internal_response.close()


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
    """Return the account's name: the host's first label, or the path if the host is an emulator's."""
    host, _, path = container.account.partition("://")[2].partition("/")
    return path or host.split(".")[0]


@contextmanager
def translate_errors(action: str) -> Iterator[None]:
    """Raise the SDK's errors as `BlobError`s that name an action, such as "Reading x".

    The SDK's own texts are not repeated: they have addresses with signatures.
    """
    from azure.core import exceptions

    try:
        yield
    except exceptions.ClientAuthenticationError as error:
        raise BlobDenied(f"{action}: {_refusal(error)}") from None
    except exceptions.ResourceNotFoundError as error:
        raise BlobGone(f"{action}: {_refusal(error)}") from None
    except exceptions.ResourceModifiedError:
        raise BlobChanged(f"{action}: it was replaced while it was read") from None
    except exceptions.HttpResponseError as error:
        if error.status_code is None:  # a body that ended before its length was reached
            raise StorageUnreachable(f"{action}: the storage's answer broke off") from None
        denied = error.status_code in (401, 403)
        raise (BlobDenied if denied else BlobError)(f"{action}: {_refusal(error)}") from None
    except exceptions.AzureError as error:
        raise StorageUnreachable(
            f"{action}: the storage cannot be reached ({type(error).__name__})"
        ) from None
    except Exception as error:  # noqa: BLE001
        # The SDK does not wrap the errors of urllib3 and ssl inside a body, nor those of its XML parser.
        raise StorageUnreachable(
            f"{action}: the storage's answer broke off ({type(error).__name__})"
        ) from None


def _refusal(error: Any) -> str:
    status, code = getattr(error, "status_code", None), getattr(error, "error_code", None)
    if status is None:
        return "no token is available for the app's identity"
    return f"the storage answered {status} {getattr(code, 'value', code) or ''}".rstrip()
