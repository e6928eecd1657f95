"""`python -m inference models check NAME --quality`: how well a deployment predicts a text."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from inference.settings import Settings

if TYPE_CHECKING:
    from inference.conformance.quality import TextScores


def configure_quality(parser: argparse.ArgumentParser) -> None:
    """Add the options of the measurement."""
    group = parser.add_argument_group(
        "quality", "perplexity on a text of this project, in place of the tests; text generators only"
    )
    group.add_argument("--quality", action="store_true", help="measure it")
    group.add_argument(
        "--reference",
        metavar="REFERENCE",
        help="compare with another deployment (its name or folder), or with a file that --record wrote",
    )
    group.add_argument("--record", type=Path, metavar="FILE", help="write the scores for a later --reference")
    group.add_argument("--json", action="store_true", help="print the numbers as JSON")


def asks_for_quality(options: argparse.Namespace) -> bool:
    """Return True where one of the options is given."""
    return bool(options.quality or options.reference or options.record or options.json)


def check_quality(options: argparse.Namespace) -> int:
    """Print the table or its JSON. Return 1, with the reason, where there is nothing to compare."""
    import asyncio

    from inference.conformance.quality import NoQuality, quality_json, quality_table, text_scores
    from inference.errors import ApiError

    settings = Settings.from_environment()
    try:
        scores = asyncio.run(text_scores(options.name, settings))
        reference = _reference(options.reference, settings) if options.reference else None
        if options.record:
            _record(options.record, scores)
    except ApiError as error:
        print(error.message, file=sys.stderr)
        return 1
    except (NoQuality, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    if options.json:
        print(quality_json(options.name, scores, reference))
    else:
        for line in quality_table(options.name, scores, reference):
            print(line)
    return 0


def _reference(given: str, settings: Settings) -> TextScores:
    """Return the scores of a deployment by name or folder, or those in a file."""
    import asyncio

    from inference.cards.card import CARD_FILE, CardError, load
    from inference.conformance.quality import NoQuality, recorded_scores, text_scores

    path = Path(given)
    if path.is_file():
        return recorded_scores(path)
    if not path.is_dir():
        return asyncio.run(text_scores(given, settings))
    if not (path / CARD_FILE).is_file():
        raise NoQuality(
            f"{given} is not a deployment: it has no {CARD_FILE}. Make one with `models add {given}`."
        )
    try:
        name = load(path).name
    except CardError as error:
        raise NoQuality(f"{given} is not a valid deployment: {error}.") from None
    return asyncio.run(text_scores(name, replace(settings, models=(path.resolve(),), defaults=())))


def _record(path: Path, scores: TextScores) -> None:
    import json

    path.write_text(json.dumps(scores.json) + "\n", encoding="utf-8")
    print(f"Written: {path}", file=sys.stderr)
