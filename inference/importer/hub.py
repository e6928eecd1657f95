"""The files of a repository on a hub: listed at one commit, downloaded by huggingface_hub into its cache."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from inference.importer.findings import ImporterError, Report, format_size, install_hint
from inference.importer.lfs import require_contents
from inference.importer.sources import (
    HUB_HOSTS,
    FolderFiles,
    HubSource,
    Listing,
    SourceFile,
    SourceFiles,
)

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
RETRY = "Run the same command again: complete files are kept, and the download is resumed."
LOG_IN = "Set HF_TOKEN, or run `hf auth login`"


@dataclass(frozen=True, slots=True)
class HubFiles:
    """The files of one commit of a repository."""

    source: HubSource
    commit: str
    listing: Listing
    license: str | None
    report: Report

    @property
    def address(self) -> str:
        return page_of(self.source, self.source.path)

    def below(self, folder: str) -> str:
        return page_of(self.source, folder)

    @property
    def origin(self) -> str:
        return f"hf:{self.source.repository}@{self.commit[:12]}"

    @property
    def provider(self) -> str:
        return self.source.repository.partition("/")[0]

    def fetch(self, names: Sequence[str]) -> Mapping[str, Path]:
        total = sum(self.listing[name].size for name in names)
        self.report(
            f"{len(names)} files, {format_size(total)}, are downloaded into the hub's cache, unless they are "
            "there."
        )
        files = {name: self._download(name) for name in names}
        require_contents(
            files,
            f"{self.source} itself has pointers in their place: ask its maker to upload the files, or name "
            "another revision.",
        )
        return files

    def _download(self, name: str) -> Path:
        from huggingface_hub import hf_hub_download

        try:
            path = Path(
                hf_hub_download(self.source.repository, name, revision=self.commit, endpoint=endpoint())
            )
        except Exception as error:
            raise ImporterError(describe_error(error, self.source, name)) from error
        _verify(path, name, self.listing[name])
        return path


def hub_files(source: HubSource, report: Report) -> SourceFiles:
    """List the files of a repository; with HF_HUB_OFFLINE those of the cache.

    Raises `ImporterError` where the hub refuses or cannot be reached.
    """
    try:
        from huggingface_hub import HfApi, constants
    except ModuleNotFoundError:
        raise ImporterError(
            "The hub is accessed with the package huggingface_hub, which is not installed. "
            + install_hint("huggingface_hub")
        ) from None
    if constants.HF_HUB_OFFLINE:
        return _cached(source, report)
    try:
        api = HfApi(endpoint=endpoint())
        info = api.model_info(source.repository, revision=source.revision, files_metadata=True)
    except Exception as error:
        raise ImporterError(describe_error(error, source, None)) from error
    commit = str(info.sha)
    report(f"{source} is at commit {commit[:12]}.")
    card: Any = info.card_data or {}
    listing = narrowed(_listing(info), source)
    return HubFiles(source, commit, listing, card.get("license"), report)


def _cached(source: HubSource, report: Report) -> FolderFiles:
    """Return the newest snapshot in the cache. Raises `ImporterError` where there is none."""
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
    report(f"HF_HUB_OFFLINE is set: {source} is taken from the cache, commit {commit}.")
    files = FolderFiles.of(newest.snapshot_path, f"hf:{source.repository}@{commit}")
    listing = narrowed(files.listing, source)
    return replace(files, listing=listing, provider=source.repository.partition("/")[0])


def narrowed(listing: Listing, source: HubSource) -> Listing:
    """Return a listing without the graphs outside the source's `path`, a folder or a graph.

    Files of other kinds stay: those that describe a graph are often in the folders above it. Raises
    `ImporterError` where there is nothing at that path.
    """
    if not source.path:
        return listing
    below = {path for path in listing if path == source.path or path.startswith(f"{source.path}/")}
    if not below:
        raise ImporterError(f"{source} has no folder or graph {source.path}.")
    return {path: file for path, file in listing.items() if not path.endswith(".onnx") or path in below}


def page_of(source: HubSource, path: str) -> str:
    """Return the address of a folder of a repository, of the repository itself for an empty path."""
    if not path:
        return str(source)
    hub = (endpoint() or f"https://{HUB_HOSTS[0]}").strip("/")
    kind = "blob" if path.endswith(".onnx") else "tree"
    revision = quote(source.revision or "main", safe="")
    return f"{hub}/{source.repository}/{kind}/{revision}/{quote(path)}"


def endpoint() -> str | None:
    """Return HF_ENDPOINT as it is now; huggingface_hub reads it once, when it is imported."""
    return os.environ.get("HF_ENDPOINT") or None


def _listing(info: ModelInfo) -> Listing:
    return {
        file.rfilename: SourceFile(file.size or 0, file.lfs.sha256 if file.lfs else None)
        for file in info.siblings or ()
        if not _is_outside(file.rfilename)
    }


def _is_outside(name: str) -> bool:
    return name.startswith("/") or "\\" in name or ".." in name.split("/")


def _verify(path: Path, name: str, listed: SourceFile) -> None:
    """Raise `ImporterError` for a file that is not the listed one, after removing it from the cache."""
    intact = path.stat().st_size == listed.size or not listed.size
    if intact and listed.sha256:
        intact = _sha256(path) == listed.sha256
    if not intact:
        path.resolve().unlink(missing_ok=True)
        raise ImporterError(
            f"{name} is damaged: its size or SHA-256 is not that of the hub's list. Run the same command "
            "again to download it again."
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe_error(error: Exception, source: HubSource, name: str | None) -> str:
    """Return a message for an error of the hub; `name` is the file, None while the repository is listed."""
    subject = f"{name} of {source}" if name else str(source)
    known = _by_class(error, source, subject) or _by_status(error, subject) or _by_disk(error)
    return known or f"{subject} cannot be downloaded: {_first_line(error)}. {RETRY}"


def _by_class(error: Exception, source: HubSource, subject: str) -> str | None:
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return (
            f"{source} is gated: accept its terms on its page, then {LOG_IN[0].lower()}{LOG_IN[1:]} with "
            "your token."
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{source.repository} has no revision {source.revision}: name a branch, tag or commit of it."
    if isinstance(error, errors.RepositoryNotFoundError):
        return (
            f"The hub has no repository {source.repository}, or does not show it to you. {LOG_IN} if it is "
            "private."
        )
    if isinstance(error, errors.HFValidationError):
        return f"{source.repository} is not a valid name of a repository: {_first_line(error)}"
    if isinstance(error, errors.LocalEntryNotFoundError | errors.OfflineModeIsEnabled):
        return f"The hub cannot be reached and {subject} is not in the cache: {_first_line(error)} {RETRY}"
    return None


def _by_status(error: Exception, subject: str) -> str | None:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        return f"The hub denies access to {subject} ({status}). {LOG_IN} with a token that may read it."
    if status == 404:
        return f"The hub does not have {subject} (404)."
    if status == 429:
        return (
            f"The hub limits the rate of requests ({subject}, 429). Wait some minutes. {RETRY} {LOG_IN} for "
            "a higher limit."
        )
    if isinstance(status, int) and status >= 500:
        return f"The hub fails ({subject}, {status}). {RETRY}"
    return None


def _by_disk(error: Exception) -> str | None:
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return f"The disk of the hub's cache is full. Free some space or set HF_HOME to another disk. {RETRY}"
    return None


def _first_line(error: Exception) -> str:
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return text or type(error).__name__
