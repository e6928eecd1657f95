"""The errors between a container and the local disk. No message has a key or a signature.

BlobError                   another attempt may succeed
├── StorageUnreachable      no answer, or an answer that is cut
├── BlobDenied              the storage refuses: a role, a key, a signature
├── BlobGone                no such container, or the blob was deleted
├── BlobChanged             the blob was replaced while it was read
├── BlobCorrupt             the bytes received are not those of the storage
├── DiskFull                the disk is full
└── BlobTooLarge            it can never fit the budget of the disk
FetchStopped                this process is shutting down
"""

from __future__ import annotations


class BlobError(Exception):
    """A failure to list or to fetch; the message is a sentence for the operator."""


class StorageUnreachable(BlobError):
    """The storage does not answer, or its answer is cut."""


class BlobDenied(BlobError):
    """The storage refuses the identity, the key or the signature."""


class BlobGone(BlobError):
    """The container or the blob does not exist."""


class BlobChanged(BlobError):
    """The blob was replaced while it was read."""


class BlobCorrupt(BlobError):
    """The bytes received are not those of the storage."""


class DiskFull(BlobError):
    """The disk, or its budget, lacks the room that deployments in use take."""


class BlobTooLarge(BlobError):
    """The deployment can never fit the budget of the disk."""


class FetchStopped(Exception):
    """The process is shutting down."""
