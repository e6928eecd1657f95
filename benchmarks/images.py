"""Images as vectors: what a script does with Pillow and a session, then one more of our layers at a time.

bare      Pillow and numpy, one image after another through session.run
embedder  our decoding and `ImageEmbedder`, from an event loop
service   a whole request in process, from bytes to bytes, without HTTP
HTTP      the same request to a server process, from a client that keeps its connection
"""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from PIL import Image

from benchmarks.bare_client import Connection
from benchmarks.measure import Spread, by_turns, timed
from benchmarks.table import Line, Report
from inference.api.http_types import HttpRequest, HttpResponse, resolve
from inference.auth.authority import Authenticator
from inference.backends.session import session_options
from inference.backends.vision import image_encoder
from inference.backends.vision.preprocessing import Preprocessor
from inference.cards.card import Deployment, load
from inference.images.decode import decode_image
from inference.registry.registry import Registry
from inference.service import Service
from inference.settings import PROJECT, Settings
from tests.http.servers import Server, running
from tests.support import models

ROUNDS = 25
WARMUPS = 2
DEPLOYMENT = PROJECT / "models" / "starter-images"
MANY = 16
SIZE = (640, 480)
LIMIT = 25_000_000
PATH = "/images/embeddings"
JSON = {"content-type": "application/json"}
MILLISECONDS = 1e3

Action = Callable[[], object]


def run() -> Report:
    deployment, settings = load(DEPLOYMENT), Settings(models=(DEPLOYMENT,))
    service = Service(settings, Registry(settings), Authenticator.from_settings(settings, loopback=True))
    opened = image_encoder.open(deployment, settings)
    lines: list[Line] = []
    with TemporaryDirectory() as folder, asyncio.Runner() as runner, _server(folder) as server:
        connection = Connection(server.http.base_url)
        bare, until = _bare(deployment, settings), runner.get_loop().run_until_complete
        for count in (1, MANY):
            files = [_jpeg(seed) for seed in range(count)]
            body = _body(files)
            actions: dict[str, Action] = {
                "bare session": partial(bare, files),
                "embedder": lambda files=files: until(_embedder(opened, files)),  # type: ignore[misc]
                "service": lambda body=body: until(_service(service, body)),  # type: ignore[misc]
                "HTTP, bare socket": partial(connection.post, PATH, body),
            }
            lines += _lines(count, _measured(actions))
        connection.close()
    opened.close()
    service.close()
    return Report([*lines, *_preparing()], (f"Images are JPEGs of {SIZE[0]} x {SIZE[1]} pixels.",))


def _server(folder: str) -> AbstractContextManager[Server]:
    return running(DEPLOYMENT, Path(folder) / "server.log", INFERENCE_THREADS="0")


def _measured(actions: Mapping[str, Action]) -> dict[str, list[float]]:
    subjects = {name: timed(action) for name, action in actions.items()}
    return by_turns(subjects, rounds=ROUNDS, warmups=WARMUPS)


def _lines(count: int, seconds: Mapping[str, Sequence[float]]) -> list[Line]:
    """Return images a second, and how many times as many as the bare session."""
    bare = seconds["bare session"]
    what = "one image" if count == 1 else f"{count} images"
    return [
        Line(
            f"{what}, {name}",
            Spread.of([count / one for one in taken]),
            "/s",
            ratio=None if taken is bare else Spread.ratio(bare, to=taken),
        )
        for name, taken in seconds.items()
    ]


def _preparing() -> list[Line]:
    """Measure the steps before the graph: decoding one by one and two at a time, and resizing."""
    files = [_jpeg(seed) for seed in range(MANY)]
    preprocessor = Preprocessor.open(DEPLOYMENT / "preprocessor_config.json")
    image = decode_image(files[0], LIMIT)
    with ThreadPoolExecutor(2) as pool:
        seconds = _measured(
            {
                "decoded one by one": lambda: [decode_image(file, LIMIT) for file in files],
                "decoded two at a time": lambda: list(
                    pool.map(lambda file: decode_image(file, LIMIT), files)
                ),
                "resized and normalised, one": lambda: preprocessor(image),
            }
        )
    one, two, resized = seconds.values()
    return [
        Line(f"{MANY} images, decoded one by one", Spread.of(one), " ms", MILLISECONDS),
        Line(
            f"{MANY} images, decoded two at a time",
            Spread.of(two),
            " ms",
            MILLISECONDS,
            Spread.ratio(two, to=one),
        ),
        Line("one image, resized and normalised", Spread.of(resized), " ms", MILLISECONDS),
    ]


def _bare(deployment: Deployment, settings: Settings) -> Callable[[Sequence[bytes]], NDArray[Any]]:
    config = json.loads(deployment.file("preprocessor").read_text())
    edge, mean = config["crop_size"]["height"], np.array(config["image_mean"], np.float32)
    deviation = np.array(config["image_std"], np.float32)
    session = ort.InferenceSession(
        deployment.file("model"), session_options(settings), providers=["CPUExecutionProvider"]
    )

    def one(file: bytes) -> NDArray[Any]:
        image = Image.open(BytesIO(file)).convert("RGB")
        scale = edge / min(image.size)
        image = image.resize((int(image.width * scale), int(image.height * scale)), Image.Resampling.BICUBIC)
        left, top = (image.width - edge) // 2, (image.height - edge) // 2
        pixels = np.asarray(image.crop((left, top, left + edge, top + edge)), np.float32) / 255
        values = ((pixels - mean) / deviation).transpose(2, 0, 1)[None]
        (vector,) = session.run(None, {"pixel_values": np.ascontiguousarray(values)})
        return np.asarray(vector / np.linalg.norm(vector))

    return lambda files: np.concatenate([one(file) for file in files])


async def _embedder(opened: Any, files: Sequence[bytes]) -> Any:
    images = await asyncio.to_thread(lambda: [decode_image(file, LIMIT) for file in files])
    return await models.image_embedder(opened).embed_images(images)


async def _service(service: Service, body: bytes) -> HttpResponse:
    async def read(_most: int) -> bytes:
        return body

    async def gone() -> bool:
        return False

    answer = await service.answer(HttpRequest("POST", PATH, resolve(PATH.strip("/")), JSON, {}, read, gone))
    assert answer.status == 200, answer.body
    return answer


def _body(files: Sequence[bytes]) -> bytes:
    urls = [f"data:image/jpeg;base64,{b64encode(file).decode()}" for file in files]
    return json.dumps({"model": DEPLOYMENT.name, "input": [{"image": url} for url in urls]}).encode()


def _jpeg(seed: int) -> bytes:
    """Return soft blots with some noise on them: as large a file as a photograph of that size is."""
    random = np.random.default_rng(seed)
    blots = Image.fromarray(random.integers(0, 256, (12, 16, 3), np.uint8)).resize(
        SIZE, Image.Resampling.BICUBIC
    )
    noisy = np.asarray(blots, np.int16) + random.integers(-12, 13, (SIZE[1], SIZE[0], 1), np.int16)
    file = BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=85)
    return file.getvalue()
