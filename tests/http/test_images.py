"""Pictures with and without texts, sent or fetched, through the official clients against a server process."""

from __future__ import annotations

import asyncio
import json
import shutil
from base64 import b64decode, b64encode
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from azure.ai.inference import EmbeddingsClient, ImageEmbeddingsClient
from azure.ai.inference.aio import ImageEmbeddingsClient as AsyncImageEmbeddingsClient
from azure.ai.inference.models import ImageEmbeddingInput
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import HttpResponseError
from numpy.typing import NDArray
from PIL import Image

from tests.golden.make_dual_encoders import GOLDEN, IMAGE_SIZES, TEXTS
from tests.golden.make_dual_encoders import PATCHES as CLIP_PATCHES
from tests.golden.make_preprocessing import sample_image
from tests.http.filtered import Filtered, filtering
from tests.http.pictures import data_url, png
from tests.http.refusals import refusal
from tests.http.servers import Server, running
from tests.images.hosting import IMAGE, Host, hosting
from tests.support.decoders import write_json
from tests.support.encoders import CONTEXT, PATCHES, write_image_encoder

KEY = AzureKeyCredential("any")
PATH = "/deployments/clip/images/embeddings"
TOLERANCE = 2e-5
SECONDS = 2
"""That the server gives fetches: the slow host takes all of it."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CLIP as it is exported, and a vision tower alone."""
    root = tmp_path_factory.mktemp("images")
    shutil.copytree(GOLDEN / "clip", root / "clip")
    card = {"name": "clip", "provider": "tests", "type": "image-embeddings", "backend": "onnx-image-encoder"}
    files = {"model": "model.onnx", "text_model": "model.onnx"}
    prompts = {"prompts": {"query": "the sea "}}
    declared = {"parameters": {"encoding_format": {}}, "embedding": prompts}
    write_json(root / "clip" / "model.json", {**card, **declared, "files": files})
    write_image_encoder(root, name="eye", with_text=False)
    return root


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with hosting() as host:
        yield host


@pytest.fixture(scope="module")
def server(models: Path, host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = {
        "INFERENCE_IMAGE_HOSTS": f"pictures.example,{host.url}",
        "INFERENCE_IMAGE_SECONDS": str(SECONDS),
        "INFERENCE_MAX_IMAGE_BYTES": "100000",
        "INFERENCE_MAX_IMAGE_PIXELS": "10000",
        "INFERENCE_MAX_REQUEST_PIXELS": "20000",
    }
    with running(models, tmp_path_factory.mktemp("log") / "images.log", **settings) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[ImageEmbeddingsClient]:
    with ImageEmbeddingsClient(f"{server.url}/deployments/clip", KEY, retry_total=0) as client:
        yield client


def expected(name: str) -> NDArray[np.float32]:
    with np.load(GOLDEN / "clip" / "expected.npz") as golden:
        return np.asarray(golden[name])


def url_of(size: tuple[int, int]) -> str:
    file = BytesIO()
    Image.fromarray(sample_image(*size)).save(file, "PNG")
    return f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"


def inputs(*texts: str | None) -> list[ImageEmbeddingInput]:
    return [
        ImageEmbeddingInput(image=url_of(size), **({} if text is None else {"text": text}))
        for size, text in zip(IMAGE_SIZES, texts or (None,) * len(IMAGE_SIZES), strict=False)
    ]


def vectors(answer: Any) -> NDArray[np.float64]:
    return np.array([item.embedding for item in answer.data])


def mean(image: NDArray[np.float32], text: NDArray[np.float32]) -> NDArray[np.float64]:
    both = image.astype(np.float64) + text
    return np.asarray(both / np.linalg.norm(both))


def test_pictures_are_the_reference_s_vectors(client: ImageEmbeddingsClient) -> None:
    answer = client.embed(input=inputs())
    np.testing.assert_allclose(vectors(answer), expected("images"), atol=TOLERANCE)
    patches = CLIP_PATCHES * len(IMAGE_SIZES)
    assert answer.usage.as_dict() == {
        "prompt_tokens": patches,
        "total_tokens": patches,
        "prompt_patches": patches,
        "total_patches": patches,
    }


def test_a_text_beside_a_picture_becomes_one_vector_with_it(client: ImageEmbeddingsClient) -> None:
    answer = client.embed(input=inputs(TEXTS[0], None, TEXTS[2]))
    images, texts = expected("images"), expected("texts")
    combined = [mean(images[0], texts[0]), images[1], mean(images[2], texts[2])]
    np.testing.assert_allclose(vectors(answer), combined, atol=TOLERANCE)
    np.testing.assert_allclose(np.linalg.norm(vectors(answer), axis=1), 1, atol=1e-6)
    lengths = np.load(GOLDEN / "clip" / "expected.npz")["lengths"]
    assert answer.usage.prompt_tokens == 3 * CLIP_PATCHES + lengths[0] + lengths[2]
    assert answer.usage["prompt_patches"] == 3 * CLIP_PATCHES


def test_it_is_what_both_routes_give_alone(server: Server, client: ImageEmbeddingsClient) -> None:
    """The text with the prompt of its `input_type`; a picture has no prompt."""
    with EmbeddingsClient(f"{server.url}/deployments/clip", KEY, retry_total=0) as texts:
        for kind in ("text", "query", "document"):
            text = vectors(texts.embed(input=[TEXTS[0]], input_type=kind))[0]
            image = vectors(client.embed(input=inputs(None)[:1], input_type=kind))[0]
            both = vectors(client.embed(input=inputs(TEXTS[0]), input_type=kind))[0]
            np.testing.assert_allclose(both, mean(image, text), atol=1e-5)
    np.testing.assert_allclose(image, expected("images")[0], atol=TOLERANCE)
    asked = {kind: vectors(client.embed(input=inputs("a"), input_type=kind)) for kind in ("text", "query")}
    assert np.abs(asked["text"] - asked["query"]).max() > 0.01


def decoded(rows: list[Any], name: str) -> NDArray[Any]:
    if name == "base64":
        return np.array([np.frombuffer(b64decode(row), "<f4") for row in rows])
    return np.array(rows, np.float32 if name == "float" else int)


def encoded(whole: NDArray[np.float32], name: str) -> NDArray[Any]:
    levels = np.clip(np.rint(whole * np.float32(127)), -128, 127).astype(int)
    bits = np.packbits(whole > 0, axis=1).astype(int)
    forms: dict[str, NDArray[Any]] = {
        "int8": levels,
        "uint8": levels + 128,
        "ubinary": bits,
        "binary": bits - 128,
    }
    return forms.get(name, whole)


@pytest.mark.parametrize("name", ["float", "base64", "int8", "uint8", "binary", "ubinary"])
async def test_every_encoding_from_both_clients(
    server: Server, client: ImageEmbeddingsClient, name: str
) -> None:
    asked = inputs(None, TEXTS[1])
    whole = vectors(client.embed(input=asked)).astype(np.float32)
    sync = [item.embedding for item in client.embed(input=asked, encoding_format=name).data]
    endpoint = f"{server.url}/deployments/clip"
    async with AsyncImageEmbeddingsClient(endpoint, KEY, retry_total=0) as other:
        answer = await other.embed(input=asked, encoding_format=name)
    for rows in (sync, [item.embedding for item in answer.data]):
        np.testing.assert_array_equal(decoded(rows, name), encoded(whole, name))


def test_a_text_for_a_model_that_reads_none(server: Server) -> None:
    body = {"input": [{"image": data_url()}, {"image": data_url(), "text": "a house"}]}
    answer = server.post("/deployments/eye/images/embeddings", body)
    detail = refusal(answer, 422, "parameter_not_supported")["detail"]
    assert detail == {"loc": ["body", "input", 1, "text"], "input": "a house"}


@pytest.mark.parametrize(("name", "supported"), [("clip", True), ("eye", False)])
def test_info_says_what_the_refusal_does(server: Server, name: str, supported: bool) -> None:
    info = server.get(f"/info?model={name}").json()
    assert info["capabilities"]["input.text"] == {"supported": supported}
    body = {"input": [{"image": data_url(), "text": "a"}]}
    answer = server.post(f"/deployments/{name}/images/embeddings", body)
    assert answer.status_code == (200 if supported else 422)


@pytest.mark.parametrize(("text", "code"), [("", "Invalid input"), ("y" * 100, "parameter_not_supported")])
def test_texts_that_cannot_be_read(server: Server, text: str, code: str) -> None:
    body = {"input": [{"image": data_url()}, {"image": data_url(), "text": text}]}
    detail = refusal(server.post(PATH, body), 422, code)["detail"]
    assert detail == {"loc": ["body", "input", 1, "text"], "input": text}


def test_every_picture_that_cannot_be_read_is_named(server: Server) -> None:
    bad = {"image": "data:image/png;base64,AAAA"}
    large = {"image": data_url(edge=101)}
    answer = server.post(PATH, {"input": [bad, {"image": data_url()}, large, {"image": "x"}]})
    details = refusal(answer, 422, "Invalid input")["error"]["details"]
    assert [detail["loc"][2] for detail in details] == [0, 2, 3]
    assert "101 x 101 pixels" in details[1]["message"]


def test_files_and_pictures_beyond_the_limits(server: Server) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (99, 99, 3), np.uint8)
    file = BytesIO()
    Image.fromarray(noise).save(file, "TIFF")
    padded = b64encode(file.getvalue() + bytes(100_000)).decode()
    answer = server.post(PATH, {"input": [{"image": f"data:image/tiff;base64,{padded}"}]})
    assert "at most 100000" in refusal(answer, 422, "Invalid input")["error"]["details"][0]["message"]
    answer = server.post(PATH, {"input": [{"image": data_url(edge=90)}] * 3})
    detail = refusal(answer, 413, "request_too_large")["detail"]
    assert detail["loc"] == ["body", "input", 2, "image"]


def test_a_picture_is_fetched(client: ImageEmbeddingsClient, host: Host) -> None:
    asked = [f"{host.url}/red.png", data_url("red"), f"{host.url}/red.png?again"]
    answer = client.embed(input=[ImageEmbeddingInput(image=url, text="red") for url in asked])
    fetched, sent, again = vectors(answer)
    np.testing.assert_array_equal(fetched, again)
    np.testing.assert_allclose(fetched, sent, atol=1e-6)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/nowhere", "answered 404"),
        ("/broken", "answered 500"),
        ("/inside", "redirects to a host that images are not fetched from"),
        ("/around", "more than 3 times"),
        ("/slow", f"not fetched within {SECONDS} seconds"),
        ("/endless", "larger than 100000 bytes"),
        ("/short", "did not give the file"),
        ("/long", "damaged, cut off"),
        ("/page.html", "not an image of an accepted format"),
        ("/drawing.svg", "SVG is not accepted"),
        ("/hangs-up", "did not give the file"),
    ],
)
def test_what_goes_wrong_on_the_way(server: Server, host: Host, path: str, sentence: str) -> None:
    host.pages["/broken"] = (500, {}, b"")
    host.pages["/inside"] = (302, {"Location": "http://169.254.169.254/latest/meta-data/"}, b"")
    host.pages["/around"] = (302, {"Location": "/around"}, b"")
    host.pages["/page.html"] = (200, {"Content-Type": "image/png"}, b"<html>")
    host.pages["/drawing.svg"] = (200, {"Content-Type": "image/png"}, b"<svg xmlns='x'/>")
    url = host.url + path
    answer = server.post(PATH, {"input": [{"image": data_url()}, {"image": url}]})
    body = refusal(answer, 422, "Invalid input")
    assert body["detail"] == {"loc": ["body", "input", 1, "image"], "input": url}
    assert sentence in body["error"]["details"][0]["message"]
    assert "169.254" not in answer.text


@pytest.mark.parametrize(
    "url", ["https://other.example/a.png", "http://pictures.example/a.png", "http://localhost/a.png", "x"]
)
def test_other_hosts(server: Server, url: str) -> None:
    answer = server.post(PATH, {"input": [{"image": url}]})
    detail = refusal(answer, 422, "Invalid input")["detail"]
    assert detail == {"loc": ["body", "input", 0, "image"], "input": url}


def test_without_allowed_hosts_nothing_is_fetched(endpoint: Server, host: Host) -> None:
    before = len(host.received)
    url = f"{host.url}/red.png"
    answer = endpoint.post("/deployments/tiny-images/images/embeddings", {"input": [{"image": url}]})
    assert "data URLs only" in refusal(answer, 422, "Invalid input")["error"]["details"][0]["message"]
    assert len(host.received) == before


async def test_slow_hosts_hold_up_nobody_else(server: Server, host: Host) -> None:
    """All pictures of a request together have the time of one."""
    endpoint = f"{server.url}/deployments/clip"
    slow = [ImageEmbeddingInput(image=f"{host.url}/slow?{number}") for number in range(8)]
    async with AsyncImageEmbeddingsClient(endpoint, KEY, retry_total=0) as client:
        waiting = asyncio.ensure_future(client.embed(input=slow))
        quick = await client.embed(input=inputs(None)[:1])
        assert len(quick.data) == 1
        assert not waiting.done()
        with pytest.raises(HttpResponseError) as refused:
            await waiting
    assert refused.value.status_code == 422
    assert refused.value.response is not None
    assert len(json.loads(refused.value.response.text())["error"]["details"]) == len(slow)


def test_a_rehearsal_fetches_and_says_what_it_found(server: Server, host: Host) -> None:
    asked = [{"image": f"{host.url}/red.png", "text": TEXTS[0]}, {"image": data_url()}]
    report = server.post(PATH, {"input": asked}, headers={"x-dry-run": "true"}).json()
    lengths = np.load(GOLDEN / "clip" / "expected.npz")["lengths"]
    assert (report["status"], report["refused"]) == (200, [])
    assert report["prompt_tokens"] == [CLIP_PATCHES + lengths[0], CLIP_PATCHES]
    asked = [{"image": f"{host.url}/nowhere"}]
    report = server.post(PATH, {"input": asked}, headers={"x-dry-run": "true"}).json()
    assert (report["status"], report["refused"][0]["loc"]) == (422, ["body", "input", 0, "image"])


def test_what_is_fetched_is_judged(tmp_path: Path, host: Host) -> None:
    """The very pixels that the model sees: the picture is fetched once."""
    write_image_encoder(tmp_path / "models")
    settings = {"INFERENCE_IMAGE_HOSTS": host.url, "INFERENCE_CONTENT_SAFETY_INPUT": "sexual=2"}
    with filtering(tmp_path / "models", tmp_path / "log", **settings) as strict:
        check_judged(strict, host)


def check_judged(strict: Filtered, host: Host) -> None:
    before = host.paths.count("/red.png?judged")
    body = {"input": [{"image": f"{host.url}/red.png?judged"}]}
    refused = refusal(strict.server.post("/images/embeddings", body), 400, "content_filter")
    assert refused["error"]["innererror"]["content_filter_result"]["sexual"]["filtered"]
    assert host.paths.count("/red.png?judged") == before + 1
    body = {"input": [{"image": data_url(), "text": "and the forbidden words"}]}
    refused = refusal(strict.server.post("/images/embeddings", body), 400, "content_filter")
    assert refused["error"]["innererror"]["content_filter_result"]["violence"]["filtered"]


def test_the_host_serves_what_the_tests_compare_with() -> None:
    assert png("red", 8) == IMAGE
    assert CONTEXT > PATCHES
