"""`python -m training.images.evaluate`: text-to-image retrieval by the exported files.

A gallery is 100 scenes of which no two show the same, each with one full caption. A caption finds its picture
if that picture has the highest cosine of the 100. The result is written into models/starter-images/README.md.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image
from tokenizers import Tokenizer

from training.images.captions import full_caption
from training.images.drawing import draw
from training.images.preprocessing import cropped, normalised
from training.images.scenes import Kind, Scene, distinct_scenes

Vectors = NDArray[np.float32]

FOLDER = Path(__file__).resolve().parents[2] / "models" / "starter-images"
GALLERIES = 20
SCENES = 100
SEED = 77
MARKERS = re.compile(r"(<!-- accuracy -->\n).*(<!-- end -->)", re.DOTALL)


class Encoder:
    """Both towers of the exported model and its tokenizer, on plain onnxruntime."""

    def __init__(self, folder: Path = FOLDER) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.vision, self.text = (
            onnxruntime.InferenceSession(folder / name, options, providers=["CPUExecutionProvider"])
            for name in ("vision_model.onnx", "text_model.onnx")
        )
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.enable_padding()

    def images(self, pictures: list[Image.Image]) -> Vectors:
        """Unit vectors, float32 [pictures, 128]."""
        pixels = normalised(np.stack([cropped(picture) for picture in pictures]))
        return np.asarray(self.vision.run(None, {"pixel_values": pixels})[0])

    def texts(self, texts: list[str]) -> Vectors:
        """Unit vectors, float32 [texts, 128]."""
        encodings = self.tokenizer.encode_batch(texts)
        ids = np.array([encoding.ids for encoding in encodings], np.int64)
        mask = np.array([encoding.attention_mask for encoding in encodings], np.int64)
        return np.asarray(self.text.run(None, {"input_ids": ids, "attention_mask": mask})[0])


@dataclass(frozen=True)
class Gallery:
    scenes: list[Scene]
    pictures: list[Image.Image]
    captions: list[str]


@dataclass(frozen=True)
class Accuracy:
    """Shares of captions, 0..1: found first, found among the first five; `lowest` is the worst top1."""

    top1: float
    top5: float
    lowest: float
    by_kind: dict[Kind, float]


def gallery(seed: int, held_out: bool) -> Gallery:
    random = Random(seed)
    scenes = distinct_scenes(random, SCENES, held_out)
    return Gallery(
        scenes,
        [draw(scene, random) for scene in scenes],
        [full_caption(scene, random).text for scene in scenes],
    )


def ranks(encoder: Encoder, gallery: Gallery) -> NDArray[np.int64]:
    """For each caption, how many pictures come before its own: int64 [captions]."""
    cosines = encoder.texts(gallery.captions) @ encoder.images(gallery.pictures).T
    before: NDArray[np.int64] = np.sum(cosines > np.diagonal(cosines)[:, None], axis=1)
    return before


def accuracy(encoder: Encoder, held_out: bool, galleries: int = GALLERIES) -> Accuracy:
    measured = [gallery(SEED + index, held_out) for index in range(galleries)]
    places = [ranks(encoder, each) for each in measured]
    kinds = [scene.kind for each in measured for scene in each.scenes]
    found = np.concatenate(places) == 0
    found_by_kind = Counter(kind for kind, hit in zip(kinds, found, strict=True) if hit)
    return Accuracy(
        top1=float(np.mean(found)),
        top5=float(np.mean(np.concatenate(places) < 5)),
        lowest=min(float(np.mean(place == 0)) for place in places),
        by_kind={kind: found_by_kind[kind] / count for kind, count in Counter(kinds).items()},
    )


def table(encoder: Encoder) -> Iterator[str]:
    """The lines of the README's table."""
    yield f"| captions of {GALLERIES} galleries of {SCENES} | held-out pairs | pairs seen in training |"
    yield "|---|---|---|"
    held_out, seen = accuracy(encoder, held_out=True), accuracy(encoder, held_out=False)
    rows = [("top 1", held_out.top1, seen.top1), ("top 5", held_out.top5, seen.top5)]
    rows.append(("top 1, worst gallery", held_out.lowest, seen.lowest))
    rows += [(f"top 1, {kind.value}", held_out.by_kind[kind], seen.by_kind[kind]) for kind in Kind]
    for name, *shares in rows:
        yield f"| {name} | " + " | ".join(f"{share:.3f}" for share in shares) + " |"


def main() -> None:
    text = "\n".join(table(Encoder())) + "\n"
    readme = FOLDER / "README.md"
    stated = MARKERS.sub(lambda found: found[1] + text + found[2], readme.read_text(encoding="utf-8"))
    readme.write_text(stated, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main()
