"""What went wrong between here and a hub, as a sentence that says what to do next."""

from __future__ import annotations

import errno

from inference.importer.sources import HubSource

AGAIN = "Run the same command again: what has come is kept, and it goes on from there."
LOG_IN = "Set HF_TOKEN, or run `hf auth login`"


def sentence_of(error: Exception, source: HubSource, name: str | None) -> str:
    """`name` is the file that was being fetched, None while the repository was being listed."""
    what = f"{name} of {source}" if name else str(source)
    found = _by_class(error, source, what) or _by_status(error, what) or _by_disk(error)
    return found or f"The hub could not give {what}: {_line(error)}. {AGAIN}"


def _by_class(error: Exception, source: HubSource, what: str) -> str | None:
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return (
            f"{source} is gated: accept its terms on its page, then {LOG_IN[0].lower()}{LOG_IN[1:]} with a "
            "token of yours."
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{source.repository} has no revision {source.revision}: name a branch, tag or commit of it."
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"The hub has no repository {source.repository}, or not for you. {LOG_IN} if it is private."
    if isinstance(error, errors.HFValidationError):
        return f"{source.repository} cannot be a repository's name: {_line(error)}"
    if isinstance(error, errors.LocalEntryNotFoundError | errors.OfflineModeIsEnabled):
        return f"The hub cannot be reached and {what} is not in the cache: {_line(error)} {AGAIN}"
    return None


def _by_status(error: Exception, what: str) -> str | None:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        return f"The hub refuses {what} ({status}). {LOG_IN} with a token that may read it."
    if status == 404:
        return f"The hub has no {what} (404)."
    if status == 429:
        return (
            f"The hub says that it was asked too often ({what}, 429). Wait some minutes. {AGAIN} {LOG_IN} "
            "to be allowed more."
        )
    if isinstance(status, int) and status >= 500:
        return f"The hub fails ({what}, {status}). {AGAIN}"
    return None


def _by_disk(error: Exception) -> str | None:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return (
            "The disk that holds the hub's cache is full. Free some space or set HF_HOME to another disk. "
            f"{AGAIN}"
        )
    return None


def _line(error: Exception) -> str:
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return text or type(error).__name__
