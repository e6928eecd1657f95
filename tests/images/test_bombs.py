"""Hostile files end in a refusal or in their picture, and never in more memory than a picture may take."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from inference.images.decode import ImageError, decode_image
from inference.settings import PROJECT
from tests.images.bombs import BOMBS, HARMLESS

LIMIT = 1_000_000
"""Pixels."""
MOST = 24 * 1024
"""KiB that a file may take beyond itself: a picture of `LIMIT` pixels with its copies, and a PNG's text."""
SECONDS = 5.0
"""Of the processor, for one file: a bomb of time would take minutes."""

SCRIPT = """
import json, os, resource, sys
from pathlib import Path
from inference.images.decode import MAGIC, ImageError, decode_image
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
def found(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """What became of every file in a process of its own: outcome, KiB, seconds."""
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
def test_memory_and_time_stay_flat(found: Mapping[str, Any], name: str) -> None:
    outcome, kib, seconds = found[name]
    assert kib < MOST, outcome
    assert seconds < SECONDS, outcome


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_with_a_sentence(name: str) -> None:
    with pytest.raises(ImageError) as refused:
        decode_image(BOMBS[name](), LIMIT)
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize("name", HARMLESS)
def test_the_rest_is_refused_or_read(name: str) -> None:
    try:
        picture = decode_image(HARMLESS[name](), LIMIT)
    except ImageError:
        return
    assert picture.shape[0] * picture.shape[1] <= LIMIT


@pytest.mark.parametrize("name", ["jpeg, a film behind", "png, a zip behind", "gif, many frames"])
def test_of_a_picture_with_more_behind_it_the_picture_is_read(name: str) -> None:
    assert decode_image(HARMLESS[name](), LIMIT).shape[2] == 3
