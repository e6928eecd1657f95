"""The settings of the content filter, which is off where they name no moderator."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from inference.settings.images import ImageSettings
from inference.settings.setting import at_least, base_url, boolean, comma_separated, one_of, paths, setting

CATEGORIES = ("hate", "self_harm", "sexual", "violence")
LEVELS = {"low": 2, "medium": 4, "high": 6, **{str(number): number for number in range(1, 8)}}
"""Severity of each level: the names are those of Azure AI Content Safety for 2, 4 and 6."""
ACTIONS = ("block", "annotate", "off")
ITEM = re.compile(r"(?:(?P<category>\w+)\s*=\s*)?(?P<level>\w+)(?:\s*:\s*(?P<action>\w+))?")


@dataclass(frozen=True, slots=True)
class HarmRules:
    """The threshold and the action of each category."""

    rows: tuple[tuple[str, int, str], ...]
    """Rows of category, lowest severity that counts, and action."""
    text: str = field(compare=False)
    """The setting's text."""

    def __iter__(self) -> Iterator[tuple[str, int, str]]:
        return iter(self.rows)

    def __str__(self) -> str:
        return self.text


def harm_rules(text: str) -> HarmRules:
    """Return the rules of a text such as `medium` or `medium, violence=high:annotate, sexual=off`.

    Later items override earlier ones. Raises `ValueError`.
    """
    rows = {category: (category, LEVELS["medium"], "block") for category in CATEGORIES}
    for item in comma_separated(text):
        for category in _categories(item):
            rows[category] = (category, *_rule(item))
    return HarmRules(tuple(rows.values()), text.strip())


def _match(item: str) -> re.Match[str]:
    """Return the parts of one item: category, level and action."""
    match = ITEM.fullmatch(item)
    if match is None:
        raise ValueError("expected items such as medium, violence=high:annotate, sexual=off")
    return match


def _categories(item: str) -> tuple[str, ...]:
    """Return the categories that an item is about: all where it names none."""
    category = _match(item)["category"]
    if category is not None and category not in CATEGORIES:
        raise ValueError(f"{category!r} is not a category: expected one of {', '.join(CATEGORIES)}")
    return CATEGORIES if category is None else (category,)


def _rule(item: str) -> tuple[int, str]:
    """Return the threshold and the action of an item."""
    match = _match(item)
    level, action = match["level"].lower(), match["action"] or "block"
    if level == "off":
        return LEVELS["medium"], "off"
    if level not in LEVELS or action not in ACTIONS:
        raise ValueError(
            "expected low, medium, high, 1 to 7 or off, optionally followed by :block, :annotate or :off"
        )
    return LEVELS[level], action


MEDIUM = harm_rules("medium")
"""The default rules, which are those of Azure OpenAI: block medium and above in all four categories."""


@dataclass(frozen=True, slots=True)
class ContentSafetySettings(ImageSettings):
    """The moderators of texts and images, their rules, and the action when no verdict can be had."""

    content_safety_endpoint: str = setting(
        "INFERENCE_CONTENT_SAFETY_ENDPOINT",
        base_url,
        "",
        "Endpoint of Azure AI Content Safety, https://NAME.cognitiveservices.azure.com, or of the emulator. "
        "Without it and without a local moderator (_CLASSIFIER, _BLOCKLIST_FILES) nothing is filtered.",
    )
    content_safety_key: str = setting(
        "INFERENCE_CONTENT_SAFETY_KEY",
        str.strip,
        "",
        "Key of that endpoint. Empty: the app's identity is used (DefaultAzureCredential).",
        secret=True,
    )
    content_safety_api_version: str = setting(
        "INFERENCE_CONTENT_SAFETY_API_VERSION",
        str.strip,
        "2024-09-01",
        "Version of the service's API.",
    )
    content_safety_input: HarmRules = setting(  # noqa: RUF009  rules are frozen
        "INFERENCE_CONTENT_SAFETY_INPUT",
        harm_rules,
        MEDIUM,
        "Rules for prompts and images: the lowest severity that is blocked (low, medium, high, 1 to 7, or "
        "off), for all categories or for one (violence=high); another action follows a colon "
        "(sexual=low:annotate).",
    )
    content_safety_output: HarmRules = setting(  # noqa: RUF009  rules are frozen
        "INFERENCE_CONTENT_SAFETY_OUTPUT",
        harm_rules,
        MEDIUM,
        "Rules for generated text, written in the same way.",
    )
    content_safety_blocklists: tuple[str, ...] = setting(
        "INFERENCE_CONTENT_SAFETY_BLOCKLISTS",
        comma_separated,
        (),
        "Blocklists of the Content Safety resource, separated by commas; a match blocks prompts and answers.",
    )
    content_safety_jailbreak: str = setting(
        "INFERENCE_CONTENT_SAFETY_JAILBREAK",
        one_of(*ACTIONS),
        "off",
        "Prompt shield against attacks in user messages: block, annotate or off.",
    )
    content_safety_indirect_attack: str = setting(
        "INFERENCE_CONTENT_SAFETY_INDIRECT_ATTACK",
        one_of(*ACTIONS),
        "off",
        "Prompt shield against attacks in tool results: block, annotate or off.",
    )
    content_safety_protected_text: str = setting(
        "INFERENCE_CONTENT_SAFETY_PROTECTED_TEXT",
        one_of(*ACTIONS),
        "off",
        "Detection of protected texts (lyrics, recipes, articles) in answers: block, annotate or off.",
    )
    content_safety_protected_code: str = setting(
        "INFERENCE_CONTENT_SAFETY_PROTECTED_CODE",
        one_of(*ACTIONS),
        "off",
        "Detection of protected code in answers (a preview of the service): block, annotate or off.",
    )
    content_safety_images: bool = setting(
        "INFERENCE_CONTENT_SAFETY_IMAGES",
        boolean,
        True,
        "Filter images by the rules for input; only Azure AI Content Safety can.",
    )
    content_safety_mode: str = setting(
        "INFERENCE_CONTENT_SAFETY_MODE",
        one_of("sync", "async"),
        "sync",
        "Filtering of streams: sync sends text only after its verdict; async sends it at once, follows with "
        "annotations and their offsets, and ends the stream a little after harmful text.",
    )
    content_safety_fail: str = setting(
        "INFERENCE_CONTENT_SAFETY_FAIL",
        one_of("closed", "open"),
        "closed",
        "Action when no verdict can be had: closed withholds the text (503, or the end of a stream); open "
        "sends it with content_filter_error.",
    )
    content_safety_annotations: bool = setting(
        "INFERENCE_CONTENT_SAFETY_ANNOTATIONS",
        boolean,
        False,
        "Add prompt_filter_results and content_filter_results to answers.",
    )
    content_safety_classifier: str = setting(
        "INFERENCE_CONTENT_SAFETY_CLASSIFIER",
        str.strip,
        "",
        "Deployment of type text-classification that moderates on this machine, alone or with Azure.",
    )
    content_safety_blocklist_files: tuple[Path, ...] = setting(
        "INFERENCE_CONTENT_SAFETY_BLOCKLIST_FILES",
        paths,
        (),
        "Blocklist files, separated by commas, whose phrases are matched on this machine; relative paths "
        "start at the project.",
    )
    content_safety_seconds: int = setting(
        "INFERENCE_CONTENT_SAFETY_SECONDS",
        at_least(1),
        6,
        "The longest, in seconds, that one check may take with its retries; then no verdict can be had.",
    )

    content_safety_cache_minutes: int = setting(
        "INFERENCE_CONTENT_SAFETY_CACHE_MINUTES",
        at_least(0),
        10,
        "Minutes for which the verdict on a text counts when the text is sent again, as in the turns of a "
        "chat; an item added to a blocklist of the resource takes effect within them. 0: every text is "
        "checked each time.",
    )

    @property
    def content_safety_enabled(self) -> bool:
        """True if at least one moderator is set."""
        return bool(
            self.content_safety_endpoint
            or self.content_safety_classifier
            or self.content_safety_blocklist_files
        )
