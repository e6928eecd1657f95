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
    from inference.importer.float_reference import Original


def configure_quality(parser: argparse.ArgumentParser) -> None:
    """Add the options of the measurement."""
    group = parser.add_argument_group(
        "quality", "perplexity on a text of this project, in place of the tests; text generators only"
    )
    group.add_argument("--quality", action="store_true", help="measure it")
    group.add_argument(
        "--reference",
        metavar="REFERENCE",
        help="compare with the original in float32 (gguf:FILE.gguf, or hf:owner/repo or its folder), with "
        "another deployment (its name or folder), or with a file that --record wrote",
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
    from inference.importer.findings import ImporterError

    settings = Settings.from_environment()
    try:
        scores = asyncio.run(text_scores(options.name, settings))
        reference = _reference(options.reference, settings) if options.reference else None
        if options.record:
            _record(options.record, scores)
    except ApiError as error:
        print(error.message, file=sys.stderr)
        return 1
    except (NoQuality, ImporterError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    if options.json:
        print(quality_json(options.name, scores, reference))
    else:
        for line in quality_table(options.name, scores, reference):
            print(line)
    return 0


def _reference(given: str, settings: Settings) -> TextScores:
    """Return the scores of an original, of a deployment by name or folder, or those in a file."""
    import asyncio

    from inference.cards.card import CARD_FILE
    from inference.conformance.quality import NoQuality, recorded_scores, text_scores
    from inference.importer.float_reference import original_of

    path = Path(given)
    if (path / CARD_FILE).is_file():
        return _scores_of_folder(path.resolve(), settings)
    if original := original_of(given):
        return _scores_of_original(original, settings)
    if path.is_file():
        return recorded_scores(path)
    if path.is_dir():
        raise NoQuality(
            f"{given} is not a deployment: it has no {CARD_FILE}. Make one with `models add {given}`."
        )
    return asyncio.run(text_scores(given, settings))


def _scores_of_original(original: Original, settings: Settings) -> TextScores:
    """Write the original in float32 into a folder that is removed afterwards, and score it."""
    from tempfile import TemporaryDirectory

    from inference.importer.float_reference import write_float_reference

    with TemporaryDirectory(prefix="reference-") as folder:
        written = write_float_reference(original, Path(folder), settings, _print_step)
        return _scores_of_folder(written, settings)


def _print_step(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _scores_of_folder(folder: Path, settings: Settings) -> TextScores:
    import asyncio

    from inference.cards.card import CardError, load
    from inference.conformance.quality import NoQuality, text_scores

    try:
        name = load(folder).name
    except CardError as error:
        raise NoQuality(f"{folder} is not a valid deployment: {error}.") from None
    return asyncio.run(text_scores(name, replace(settings, models=(folder,), defaults=())))


def _record(path: Path, scores: TextScores) -> None:
    import json

    path.write_text(json.dumps(scores.json) + "\n", encoding="utf-8")
    print(f"Written: {path}", file=sys.stderr)
