"""SOURCE with a GGUF file at its end: the place that holds it, and the file or quantization that is named."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit, urlunsplit

from inference.importer.gguf.choice import QUANTIZATION, SUFFIX

HUB_FILE = re.compile(
    r"(?P<source>hf:[\w.-]+/[\w.-]+(?:@[\w./-]+)?):(?P<file>[^:]+)", re.ASCII | re.IGNORECASE
)
HUB_PAGE = re.compile(
    r"(?P<repository>/[\w.-]+/[\w.-]+)/(?:blob|resolve)/(?P<revision>[\w.%-]+)/(?P<file>.+)", re.ASCII
)


def split_file(text: str) -> tuple[str, str | None]:
    """Return SOURCE and the file or quantization that it names: hf:owner/repo:FILE, or a URL of a GGUF file.

    A file on this machine is a source of its own and is not split.
    """
    if match := HUB_FILE.fullmatch(text):
        named = match["file"]
        if named.lower().endswith(SUFFIX) or QUANTIZATION.fullmatch(named):
            return match["source"], named
        return text, None
    if text.startswith(("http://", "https://")):
        try:
            return _split_url(text)
        except ValueError:  # no URL; the source's own refusal says so
            return text, None
    return text, None


def _split_url(text: str) -> tuple[str, str | None]:
    parts = urlsplit(text)
    if not parts.path.lower().endswith(SUFFIX):
        return text, None
    if page := HUB_PAGE.fullmatch(parts.path):
        tree = f"{page['repository']}/tree/{page['revision']}"
        return urlunsplit((parts.scheme, parts.netloc, tree, "", "")), unquote(page["file"])
    path = PurePosixPath(parts.path)
    folder = parts._replace(path=str(path.parent))
    return urlunsplit(folder), unquote(path.name)
