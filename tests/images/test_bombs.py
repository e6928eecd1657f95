"""Hostile files are refused or decoded, and never take more memory than an image may take."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from inference.images.decode import decode_image
from inference.images.formats import ImageError
from inference.settings import PROJECT
from tests.images.bombs import BOMBS, HARMLESS

LIMIT = 1_000_000
"""Pixels."""
MAX_KIB = 24 * 1024
"""KiB that a file may take beyond itself: an image of `LIMIT` pixels with its copies, and a PNG's text."""
MAX_SECONDS = 5.0
"""Processor time for one file: a bomb would take minutes."""

SCRIPT = """
import json, os, resource, sys
from pathlib import Path
from inference.images.decode import decode_image
from inference.images.formats import MAGIC, ImageError
from PIL import Image
import numpy
for _, _, module in MAGIC:
    __import__("PIL." + module)
for name in ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"):
    decode_image((Path(sys.argv[1]) / f"sound.{name}").read_bytes(), 10_000)
for path in sorted(Path(sys.argv[1]).glob("*.bomb")):
    if os.fork():
        os.wait()
        continue
    data = path.read_bytes()
    before = resource.getrusage(resource.RUSAGE_SELF)
    try:
        outcome = str(decode_image(data, int(sys.argv[2])).shape)
    except ImageError as error:
        outcome = f"refused: {error}"
    after = resource.getrusage(resource.RUSAGE_SELF)
    grown, took = after.ru_maxrss - before.ru_maxrss, after.ru_utime - before.ru_utime
    print(json.dumps([path.stem, outcome, grown, took]))
    sys.stdout.flush()
    os._exit(0)
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """The outcome, KiB and seconds of every file, each decoded in a process of its own."""
    from tests.images.bombs import written

    folder = tmp_path_factory.mktemp("bombs")
    for name in ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"):
        (folder / f"sound.{name}").write_bytes(written(name))
    for name, make in {**BOMBS, **HARMLESS}.items():
        (folder / f"{name}.bomb").write_bytes(make())
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), str(LIMIT)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {name: (outcome, kib, seconds) for name, outcome, kib, seconds in lines}


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured as Linux counts it")
@pytest.mark.parametrize("name", [*BOMBS, *HARMLESS])
def test_hostile_files_stay_within_memory_and_time(outcomes: Mapping[str, Any], name: str) -> None:
    outcome, kib, seconds = outcomes[name]
    assert kib < MAX_KIB, outcome
    assert seconds < MAX_SECONDS, outcome


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_with_a_sentence(name: str) -> None:
    with pytest.raises(ImageError) as refused:
        decode_image(BOMBS[name](), LIMIT)
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_files_are_refused_or_decoded(name: str) -> None:
    try:
        pixels = decode_image(HARMLESS[name](), LIMIT)
    except ImageError:
        return
    assert pixels.shape[0] * pixels.shape[1] <= LIMIT


@pytest.mark.parametrize("name", ["jpeg, a film after it", "png, a zip after it", "gif, many frames"])
def test_an_image_with_trailing_data_is_decoded(name: str) -> None:
    assert decode_image(HARMLESS[name](), LIMIT).shape[2] == 3
