"""The files in models/starter-images: small, described correctly, and as accurate as their README says."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from training.images.evaluate import FOLDER, Encoder, accuracy
from training.images.preprocessing import PREPROCESSOR_CONFIG
from training.images.shape import EMBEDDING, MAX_TOKENS, VOCABULARY

MOST_BYTES = 2_500_000
LEAST_TOP1 = 0.8
GALLERIES = 5


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder()


def stated_shares() -> Iterator[tuple[str, float]]:
    """The README's rows as (name, share on held-out pairs)."""
    for row in re.findall(
        r"^\| (top .*?) \| ([\d.]+) \| [\d.]+ \|$", read(FOLDER / "README.md"), re.MULTILINE
    ):
        yield row[0], float(row[1])


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_all_files_together_are_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) <= MOST_BYTES


def test_the_readme_states_the_accuracy_that_is_measured(encoder: Encoder) -> None:
    stated = dict(stated_shares())
    measured = accuracy(encoder, held_out=True, galleries=GALLERIES)
    assert measured.top1 >= LEAST_TOP1
    assert measured.top1 == pytest.approx(stated["top 1"], abs=0.04)
    assert measured.top5 == pytest.approx(stated["top 5"], abs=0.02)


def test_the_preprocessing_is_what_the_configuration_says() -> None:
    assert json.loads(read(FOLDER / "preprocessor_config.json")) == PREPROCESSOR_CONFIG


def test_the_configuration_describes_the_graphs(encoder: Encoder) -> None:
    config = json.loads(read(FOLDER / "config.json"))
    assert config["projection_dim"] == EMBEDDING
    assert config["text_config"]["max_position_embeddings"] == MAX_TOKENS
    assert config["text_config"]["vocab_size"] == VOCABULARY >= encoder.tokenizer.get_vocab_size()
    shapes = [session.get_outputs()[0].shape for session in (encoder.vision, encoder.text)]
    assert shapes == [["batch", EMBEDDING]] * 2
    assert encoder.vision.get_inputs()[0].shape == ["batch", 3, 64, 64]


def test_a_picture_drawn_by_hand_is_told_from_others(encoder: Encoder) -> None:
    picture = Image.new("RGB", (300, 200), "white")
    ImageDraw.Draw(picture).ellipse((60, 70, 120, 130), fill="red")
    texts = ["a red circle", "a blue circle", "a red square", "three red circles", "a green star"]
    cosines = encoder.texts(texts) @ encoder.images([picture])[0]
    assert int(np.argmax(cosines)) == 0
