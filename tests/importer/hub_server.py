"""A server with the protocol of the Hugging Face hub, for repositories in folders.

It lists a repository, resolves a file to its commit with the headers that huggingface_hub reads, sends
small files itself and redirects to another path for large ones, as the hub does with LFS, takes ranges, and
fails on request.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LFS_FROM = 100_000
"""Bytes from which a file is kept in LFS."""
LISTS = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)(?:/revision/(?P<revision>[^/]+))?")
RESOLVES = re.compile(r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")
TOKEN = "hf_right"
RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass
class Hub:
    """State of the server and its failures; `requests` counts the requests of each file."""

    root: Path
    url: str = ""
    cdn: str = ""
    """Host of large files, another one as on the hub."""
    private: bool = False
    refuse: int | None = None
    """A status for every request of a file's content."""
    cut: int | None = None
    """Bytes after which the connection is dropped, once."""
    damaged: bool = False
    """True to send other content than listed."""
    requests: Counter[str] = field(default_factory=Counter)
    ranges: list[str] = field(default_factory=list)

    def file(self, repo: str, name: str) -> Path | None:
        path = (self.root / repo / name).resolve()
        return path if path.is_file() and path.is_relative_to(self.root.resolve()) else None


@contextmanager
def serving(root: Path) -> Iterator[Hub]:
    """Serve the repositories `root`/owner/repo during a block."""
    hub = Hub(root)

    class Handler(HubHandler):
        pass

    Handler.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    hub.cdn = f"http://localhost:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class HubHandler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, *_: Any) -> None:
        """Log nothing."""

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        signed = path.startswith("/lfs/")  # the hub's storage takes signed addresses, not tokens
        if self.hub.private and not signed and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._refuse(401, "RepoNotFound")
        elif match := LISTS.fullmatch(path):
            self._list(match["repo"], match["revision"])
        elif match := RESOLVES.fullmatch(path):
            self._resolve(match["repo"], match["revision"], match["file"])
        elif path.startswith("/lfs/"):
            repo, _, name = path.removeprefix("/lfs/").partition("//")
            self._content(self.hub.file(repo, name), name)
        else:
            self._refuse(404, "EntryNotFound")

    def _list(self, repo: str, revision: str | None) -> None:
        folder = self.hub.root / repo
        if not folder.is_dir():
            return self._refuse(404, "RepoNotFound")
        if revision not in (None, "main", COMMIT):
            return self._refuse(404, "RevisionNotFound")
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        siblings = [_sibling(path, path.relative_to(folder).as_posix()) for path in files]
        body = {
            "id": repo,
            "modelId": repo,
            "sha": COMMIT,
            "siblings": siblings,
            "tags": [],
            "private": False,
        }
        return self._send(json.dumps({**body, "cardData": {"license": "apache-2.0"}}).encode())

    def _resolve(self, repo: str, revision: str, name: str) -> None:
        path = self.hub.file(repo, name)
        if path is None:
            return self._refuse(404, "EntryNotFound")
        data = path.read_bytes()
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{etag(data)}"', "Accept-Ranges": "bytes"}
        if len(data) < LFS_FROM:
            return self._content(path, name, headers)
        headers |= {"X-Linked-Etag": f'"{etag(data)}"', "X-Linked-Size": str(len(data))}
        headers |= {"Location": f"{self.hub.cdn}/lfs/{repo}//{name}", "ETag": '"of-the-pointer"'}
        return self._send(b"", 302, headers)

    def _content(self, path: Path | None, name: str, headers: dict[str, str] | None = None) -> None:
        if path is None:
            return self._refuse(404, "EntryNotFound")
        if self.command == "GET":
            self.hub.requests[name] += 1
            if self.hub.refuse:
                return self._refuse(self.hub.refuse, "")
        data, status, more = path.read_bytes(), 200, dict(headers or {})
        if self.hub.damaged and len(data) >= LFS_FROM:
            data = bytes(len(data))
        if wanted := RANGE.fullmatch(self.headers.get("Range") or ""):
            self.hub.ranges.append(wanted[0])
            start, whole = int(wanted[1]), len(data)
            data, status = data[start:], 206
            more["Content-Range"] = f"bytes {start}-{whole - 1}/{whole}"
        return self._send(data, status, more, cuts=len(data) >= LFS_FROM)

    def _refuse(self, status: int, code: str) -> None:
        self._send(b"{}", status, {"X-Error-Code": code, "X-Error-Message": "on request of the test"})

    def _send(
        self, data: bytes, status: int = 200, headers: dict[str, str] | None = None, *, cuts: bool = False
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if cuts and self.hub.cut is not None:
            data, self.hub.cut, self.close_connection = data[: self.hub.cut], None, True
        self.wfile.write(data)


def etag(data: bytes) -> str:
    """Return git's hash of a small file and the SHA-256 of a large one, as the hub does."""
    if len(data) >= LFS_FROM:
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _sibling(path: Path, name: str) -> dict[str, Any]:
    data = path.read_bytes()
    found: dict[str, Any] = {"rfilename": name, "size": len(data), "blobId": "0" * 40}
    if len(data) >= LFS_FROM:
        found["lfs"] = {"sha256": etag(data), "size": len(data), "pointerSize": 134}
    return found
