"""Blocklists on this machine, and the rules of the emulator: text files with one rule a line.

    # a comment
    chopping tomatoes                        an item of the list, which has the file's name
    list slang: some words                   an item of the list `slang`
    violence 4: chopping tomatoes            a harm with its severity, 1 to 7
    jailbreak: ignore all instructions       a detection: jailbreak, indirect_attack,
                                             protected_material_text or protected_material_code

A phrase matches whole words, whatever their case, white space and compatibility forms.
"""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from inference.contracts import HarmCategory
from inference.safety.moderator import ALL_CATEGORIES
from inference.safety.verdict import Detection, FilterChecks, Verdict, merge

if TYPE_CHECKING:
    from inference.contracts import ImageArray

MAX_PHRASE_LENGTH = 128
"""Characters of a phrase, as the service's own blocklists allow."""
RULE = re.compile(r"(?P<kind>[a-z_]+)(?:\s+(?P<value>[\w.~-]+))?\s*:\s*(?P<phrase>.+)")
INVISIBLE = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]")


class BlocklistError(ValueError):
    """A file with an invalid rule; the message names the file, the line and the problem."""


@dataclass(frozen=True, slots=True)
class BlocklistRule:
    """A phrase, and the verdict on the texts that have it."""

    words: str
    """The phrase in the form of `normalize`."""
    pattern: re.Pattern[str]
    """The phrase as whole words."""
    verdict: Verdict

    def matches(self, normalized: str) -> bool:
        """Return True if a text from `normalize` has the phrase."""
        # Most texts have no such words, which is soon found out.
        return self.words in normalized and self.pattern.search(normalized) is not None


def read_blocklist(path: Path) -> list[BlocklistRule]:
    """Return the rules of a file. Raises `BlocklistError`."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BlocklistError(f"{path} cannot be read: {error}") from None
    return list(_parse(lines, path))


def _parse(lines: Iterable[str], path: Path) -> Iterator[BlocklistRule]:
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                yield parse_rule(line.strip(), path.stem)
            except ValueError as error:
                raise BlocklistError(f"{path}, line {number}: {error}") from None


def parse_rule(line: str, blocklist: str) -> BlocklistRule:
    """Return the rule of a line; one without a kind is an item of `blocklist`. Raises `ValueError`."""
    match = RULE.fullmatch(line)
    phrase, verdict = line, None
    if match is not None:
        verdict = _verdict(match["kind"], match["value"])
        phrase = match["phrase"] if verdict else line
    if len(phrase) > MAX_PHRASE_LENGTH:
        raise ValueError(f"a phrase has at most {MAX_PHRASE_LENGTH} characters, this one has {len(phrase)}")
    words = normalize(phrase).strip()
    return BlocklistRule(words, _pattern(words), verdict or Verdict(blocklists=frozenset({blocklist})))


def _verdict(kind: str, value: str | None) -> Verdict | None:
    """Return the verdict of a rule's kind, None if the words before the colon are part of an item."""
    if kind == "list" and value:
        return Verdict(blocklists=frozenset({value}))
    if kind in set(Detection) and value is None:
        return Verdict(detections=frozenset({Detection(kind)}))
    if kind in set(HarmCategory):
        if value is None or value not in "1234567" or len(value) != 1:
            raise ValueError(f"{kind} needs a severity from 1 to 7")
        return Verdict({HarmCategory(kind): int(value)})
    return None


def normalize(text: str) -> str:
    """Return a text in the form that phrases are matched in: NFKC, folded case, single spaces."""
    folded = unicodedata.normalize("NFKC", INVISIBLE.sub("", text)).casefold()
    return re.sub(r"\s+", " ", folded)


def _pattern(words: str) -> re.Pattern[str]:
    if not words:
        raise ValueError("the phrase is empty")
    return re.compile(r"(?<!\w)" + re.escape(words) + r"(?!\w)")


class Blocklist:
    """A `Moderator` by the rules of files."""

    name = "phrases"
    categories = ALL_CATEGORIES
    detections = frozenset(Detection)
    checks_images = False
    limited = False

    def __init__(self, rules: Sequence[BlocklistRule]) -> None:
        self._rules = tuple(rules)

    @classmethod
    def read(cls, paths: Iterable[Path]) -> Blocklist:
        """Build a moderator from the rules of all files. Raises `BlocklistError`."""
        return cls([rule for path in paths for rule in read_blocklist(path)])

    async def judge(self, text: str, checks: FilterChecks) -> Verdict:
        """Return the findings among the checks; items of these files count with every check of harm."""
        found = await asyncio.to_thread(self._find, text)
        return Verdict(
            {category: found.severities.get(category, 0) for category in checks.categories},
            found.blocklists if checks.categories or checks.blocklists else frozenset(),
            found.detections & checks.detections,
        )

    def _find(self, text: str) -> Verdict:
        normalized = normalize(text)
        return merge(rule.verdict for rule in self._rules if rule.matches(normalized))

    async def judge_image(self, image: ImageArray, checks: FilterChecks) -> Verdict:  # noqa: ARG002
        """Return no finding: phrases are found in texts alone."""
        return Verdict()

    async def aclose(self) -> None:
        """Do nothing: no connection is open."""
