"""`api-version`: which dates are taken, and what is done without one."""

from __future__ import annotations

import re
from collections.abc import Mapping

from inference.api.paths import ApiStyle
from inference.errors import MissingApiVersion, Offender, UnsupportedApiVersion

PARAMETER = "api-version"
PRESENT = "2024-05-01-preview"
"""What a request without a version, or with another date, is served as: what the official clients send."""
OLDEST = "2024-04-01-preview"
STABLE = "2025-04-01"
DATE = re.compile(r"\d{4}-\d{2}-\d{2}(-preview)?")


def version_of(query: Mapping[str, str], dialect: ApiStyle, *, required: bool) -> str:
    """The version to behave as; `openai` under the OpenAI paths, which have none to speak of.

    Any date is taken, because clients of Azure OpenAI send its dates on these routes. Raises
    `MissingApiVersion` where the operator requires one, `UnsupportedApiVersion` for what is no date.
    """
    if dialect is ApiStyle.OPENAI:
        return ApiStyle.OPENAI
    text = query.get(PARAMETER)
    if not text:
        if required:
            raise MissingApiVersion("The api-version query parameter (?api-version=) is required.")
        return PRESENT
    if not DATE.fullmatch(text):
        raise UnsupportedApiVersion(
            f"Unsupported api-version {text!r}: expected a date such as {PRESENT}.",
            offenders=[Offender(("query", PARAMETER), text, "expected YYYY-MM-DD or YYYY-MM-DD-preview")],
        )
    return text if text in (OLDEST, STABLE) else PRESENT
