"""The settings of the content filter. Where neither an endpoint nor a local judge is set, it is off."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from inference.settings.images import ImageSettings
from inference.settings.setting import at_least, authority, flag, folders, names, one_of, setting

CATEGORIES = ("hate", "self_harm", "sexual", "violence")
LEVELS = {"low": 2, "medium": 4, "high": 6, **{str(number): number for number in range(1, 8)}}
"""Words for severities: the service's own for 2, 4 and 6."""
ACTIONS = ("block", "annotate", "off")
ITEM = re.compile(r"(?:(?P<category>\w+)\s*=\s*)?(?P<level>\w+)(?:\s*:\s*(?P<action>\w+))?")


@dataclass(frozen=True, slots=True)
class HarmRules:
    """Per category the severity from which it counts and what then happens, and the text that said so."""

    rows: tuple[tuple[str, int, str], ...]
    text: str = field(compare=False)

    def __iter__(self) -> Iterator[tuple[str, int, str]]:
        return iter(self.rows)

    def __str__(self) -> str:
        return self.text


def harm_rules(text: str) -> HarmRules:
    """Reads `medium`, or `medium, violence=high:annotate, sexual=off`; what comes later wins."""
    rows = {category: (category, LEVELS["medium"], "block") for category in CATEGORIES}
    for item in names(text):
        for category in _categories(item):
            rows[category] = (category, *_rule(item))
    return HarmRules(tuple(rows.values()), text.strip())


def _matched(item: str) -> re.Match[str]:
    match = ITEM.fullmatch(item)
    if match is None:
        raise ValueError("expected items such as medium, violence=high:annotate, sexual=off")
    return match


def _categories(item: str) -> tuple[str, ...]:
    category = _matched(item)["category"]
    if category is not None and category not in CATEGORIES:
        raise ValueError(f"{category!r} is none of {', '.join(CATEGORIES)}")
    return CATEGORIES if category is None else (category,)


def _rule(item: str) -> tuple[int, str]:
    match = _matched(item)
    level, action = match["level"].lower(), match["action"] or "block"
    if level == "off":
        return LEVELS["medium"], "off"
    if level not in LEVELS or action not in ACTIONS:
        raise ValueError("expected low, medium, high, 1 to 7 or off, then maybe :block, :annotate or :off")
    return LEVELS[level], action


MEDIUM = harm_rules("medium")
"""What Azure OpenAI's default filter blocks: medium and above, in all four categories."""


@dataclass(frozen=True, slots=True)
class ContentSafetySettings(ImageSettings):
    """Who judges texts and pictures, by which rules, and what happens when nobody can."""

    content_safety_endpoint: str = setting(
        "INFERENCE_CONTENT_SAFETY_ENDPOINT",
        authority,
        "",
        "Azure AI Content Safety, https://NAME.cognitiveservices.azure.com, or the emulator; without it and "
        "without a local judge (_CLASSIFIER, _BLOCKLIST_FILES) nothing is filtered.",
    )
    content_safety_key: str = setting(
        "INFERENCE_CONTENT_SAFETY_KEY",
        str.strip,
        "",
        "Key of that endpoint; without one the app's identity is used (DefaultAzureCredential).",
        secret=True,
    )
    content_safety_api_version: str = setting(
        "INFERENCE_CONTENT_SAFETY_API_VERSION",
        str.strip,
        "2024-09-01",
        "The version of the service's API that is asked for.",
    )
    content_safety_input: HarmRules = setting(  # noqa: RUF009  rules are frozen
        "INFERENCE_CONTENT_SAFETY_INPUT",
        harm_rules,
        MEDIUM,
        "From which severity what comes in is blocked: low, medium, high, 1 to 7 or off, for all categories "
        "or one (violence=high), with another action behind a colon (sexual=low:annotate).",
    )
    content_safety_output: HarmRules = setting(  # noqa: RUF009  rules are frozen
        "INFERENCE_CONTENT_SAFETY_OUTPUT",
        harm_rules,
        MEDIUM,
        "The same for what the model says.",
    )
    content_safety_blocklists: tuple[str, ...] = setting(
        "INFERENCE_CONTENT_SAFETY_BLOCKLISTS",
        names,
        (),
        "Blocklists of the Content Safety resource, separated by commas; a match blocks, both ways.",
    )
    content_safety_jailbreak: str = setting(
        "INFERENCE_CONTENT_SAFETY_JAILBREAK",
        one_of(*ACTIONS),
        "off",
        "Prompt shield against attacks in what users write: block, annotate or off.",
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
        "Detection of known texts (lyrics, recipes, articles) in answers: block, annotate or off.",
    )
    content_safety_protected_code: str = setting(
        "INFERENCE_CONTENT_SAFETY_PROTECTED_CODE",
        one_of(*ACTIONS),
        "off",
        "Detection of known code in answers (a preview of the service): block, annotate or off.",
    )
    content_safety_images: bool = setting(
        "INFERENCE_CONTENT_SAFETY_IMAGES",
        flag,
        True,
        "Judge pictures by the rules for input; only Azure AI Content Safety can.",
    )
    content_safety_mode: str = setting(
        "INFERENCE_CONTENT_SAFETY_MODE",
        one_of("sync", "async"),
        "sync",
        "Streams: sync shows nothing before it is judged; async shows first, annotates with offsets and "
        "stops a little later.",
    )
    content_safety_fail: str = setting(
        "INFERENCE_CONTENT_SAFETY_FAIL",
        one_of("closed", "open"),
        "closed",
        "When nobody can judge: closed withholds (503, or the end of a stream); open lets pass, and every "
        "such answer carries content_filter_error.",
    )
    content_safety_annotations: bool = setting(
        "INFERENCE_CONTENT_SAFETY_ANNOTATIONS",
        flag,
        False,
        "Put prompt_filter_results and content_filter_results into answers.",
    )
    content_safety_classifier: str = setting(
        "INFERENCE_CONTENT_SAFETY_CLASSIFIER",
        str.strip,
        "",
        "Deployment of type text-classification that judges on this machine, alone or beside Azure.",
    )
    content_safety_blocklist_files: tuple[Path, ...] = setting(
        "INFERENCE_CONTENT_SAFETY_BLOCKLIST_FILES",
        folders,
        (),
        "Files of phrases, separated by commas, that judge on this machine; relative ones start at the "
        "project.",
    )
    content_safety_seconds: int = setting(
        "INFERENCE_CONTENT_SAFETY_SECONDS",
        at_least(1),
        6,
        "How long one check may take with its repetitions; then nobody could judge.",
    )

    @property
    def content_safety_on(self) -> bool:
        """Whether there is anybody who judges."""
        return bool(
            self.content_safety_endpoint
            or self.content_safety_classifier
            or self.content_safety_blocklist_files
        )
