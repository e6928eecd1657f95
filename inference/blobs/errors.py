"""What can go wrong between a container and the local disk. No message holds a key or a signature.

BlobError             another try may help
├── Unreachable       nobody answers, or the answer is cut
├── Denied            the storage refuses: a role, a key, a signature
├── Gone              no such container, or the blob is not there any more
├── Changed           the blob was replaced while it was read
├── Corrupt           what came is not what the storage has
├── NoRoom            the disk is full
└── TooLarge          it will never fit the budget of the disk
Stopped               this process is asked to end
"""

from __future__ import annotations


class BlobError(Exception):
    """The message is a sentence for the operator."""


class StorageUnreachable(BlobError):
    pass


class BlobDenied(BlobError):
    pass


class BlobGone(BlobError):
    pass


class BlobChanged(BlobError):
    pass


class BlobCorrupt(BlobError):
    pass


class DiskFull(BlobError):
    pass


class BlobTooLarge(BlobError):
    pass


class FetchStopped(Exception):
    pass
