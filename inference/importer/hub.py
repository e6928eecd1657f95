"""What went wrong between here and a hub, as a sentence that says what to do next."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference.importer.findings import ImporterError, Say, install_sentence, megabytes
from inference.importer.sources import FolderFiles, HubSource, Listing, SourceFile, SourceFiles

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo

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


@dataclass(frozen=True, slots=True)
class HubFiles:
    """The files of one commit of a repository."""

    source: HubSource
    commit: str
    listing: Listing
    license: str | None
    say: Say

    @property
    def address(self) -> str:
        return str(self.source)

    @property
    def origin(self) -> str:
        return f"hf:{self.source.repository}@{self.commit[:12]}"

    @property
    def provider(self) -> str:
        return self.source.repository.partition("/")[0]

    def fetch(self, names: Sequence[str]) -> Mapping[str, Path]:
        """Raises `ImporterError` for what cannot be had or is not what was listed."""
        total = sum(self.listing[name].size for name in names)
        self.say(
            f"{len(names)} files, {megabytes(total)}, are fetched into the hub's cache, or are there already."
        )
        return {name: self._one(name) for name in names}

    def _one(self, name: str) -> Path:
        from huggingface_hub import hf_hub_download

        try:
            path = Path(
                hf_hub_download(self.source.repository, name, revision=self.commit, endpoint=endpoint())
            )
        except Exception as error:
            raise ImporterError(sentence_of(error, self.source, name)) from error
        _verify(path, name, self.listing[name])
        return path


def hub_files(source: HubSource, say: Say) -> SourceFiles:
    """Raises `ImporterError` when the hub refuses or cannot be reached."""
    try:
        from huggingface_hub import HfApi, constants
    except ModuleNotFoundError:
        raise ImporterError(
            "The hub is reached with huggingface_hub, which is not installed. "
            + install_sentence("huggingface_hub")
        ) from None
    if constants.HF_HUB_OFFLINE:
        return _cached(source, say)
    try:
        api = HfApi(endpoint=endpoint())
        info = api.model_info(source.repository, revision=source.revision, files_metadata=True)
    except Exception as error:
        raise ImporterError(sentence_of(error, source, None)) from error
    commit = str(info.sha)
    say(f"{source} is at commit {commit[:12]}.")
    card: Any = info.card_data or {}
    return HubFiles(source, commit, _listing(info), card.get("license"), say)


def _cached(source: HubSource, say: Say) -> FolderFiles:
    """What the newest earlier run has brought, where HF_HUB_OFFLINE forbids to ask."""
    from huggingface_hub import CacheNotFound, scan_cache_dir

    try:
        known = [repo for repo in scan_cache_dir().repos if repo.repo_id == source.repository]
    except CacheNotFound:
        known = []
    revisions = [revision for repo in known for revision in repo.revisions]
    if source.revision:
        wanted = source.revision
        revisions = [one for one in revisions if wanted in (one.commit_hash, *one.refs)]
    if not revisions:
        raise ImporterError(
            f"HF_HUB_OFFLINE is set and {source} is not in the cache. Unset it, or add a folder."
        )
    newest = max(revisions, key=lambda one: one.last_modified)
    commit = newest.commit_hash[:12]
    say(f"HF_HUB_OFFLINE is set: {source} is taken from the cache, commit {commit}.")
    stock = FolderFiles.of(newest.snapshot_path, f"hf:{source.repository}@{commit}")
    return replace(stock, provider=source.repository.partition("/")[0])


def endpoint() -> str | None:
    """Read when asked for; huggingface_hub reads it when it is imported."""
    return os.environ.get("HF_ENDPOINT") or None


def _listing(info: ModelInfo) -> Listing:
    return {
        file.rfilename: SourceFile(file.size or 0, file.lfs.sha256 if file.lfs else None)
        for file in info.siblings or ()
        if not _leads_out(file.rfilename)
    }


def _leads_out(name: str) -> bool:
    return name.startswith("/") or "\\" in name or ".." in name.split("/")


def _verify(path: Path, name: str, listed: SourceFile) -> None:
    """Raises `ImporterError` for a file that is not the listed one, and takes it out of the cache."""
    fine = path.stat().st_size == listed.size or not listed.size
    if fine and listed.sha256:
        fine = _sha256(path) == listed.sha256
    if not fine:
        path.resolve().unlink(missing_ok=True)
        raise ImporterError(
            f"{name} came damaged: it is not the file that the hub lists. Run the same command again to "
            "fetch it anew."
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
