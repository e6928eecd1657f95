"""Fixtures that any test may ask for: the endpoints, each started when first asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from inference.settings import PROJECT
from tests.http.servers import Server, running

if TYPE_CHECKING:
    from tests.blobs.storage import Storage

# How long an example takes depends on what else the machine does.
settings.register_profile("shared-machine", deadline=None)
settings.load_profile("shared-machine")

KEYS = ("first-key", "second-key")


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the endpoints' deployments and logs lie."""
    return tmp_path_factory.mktemp("endpoints")


@pytest.fixture(scope="session")
def endpoint(workplace: Path) -> Iterator[Server]:
    """Deployments of every task, open to all."""
    from tests.http.zoo import write_several

    with running(write_several(workplace / "several"), workplace / "several.log") as server:
        yield server


@pytest.fixture(scope="session")
def lone(workplace: Path) -> Iterator[Server]:
    """One deployment a task."""
    from tests.http.zoo import write_lone

    with running(write_lone(workplace / "lone"), workplace / "lone.log") as server:
        yield server


@pytest.fixture(scope="session")
def aliased(workplace: Path) -> Iterator[Server]:
    """One deployment a task, under other names too."""
    from tests.http.zoo import write_lone

    names = "gpt-4o=tiny-chat, *=tiny-chat, *=tiny-embed"
    folder = write_lone(workplace / "aliased", aliases=["tiny"])
    with running(folder, workplace / "aliased.log", INFERENCE_MODEL_ALIASES=names) as server:
        yield server


@pytest.fixture(scope="session")
def locked(workplace: Path) -> Iterator[Server]:
    """An endpoint that wants one of `KEYS`."""
    from tests.support.decoders import write_decoder

    write_decoder(workplace / "locked")
    keys = ",".join(KEYS)
    with running(workplace / "locked", workplace / "locked.log", INFERENCE_API_KEYS=keys) as server:
        yield server


@pytest.fixture(scope="session")
def small(workplace: Path) -> Iterator[Server]:
    """An endpoint with little of everything, an api-version required, and one endless deployment."""
    from tests.http.zoo import write_small

    limits = {
        "INFERENCE_MAX_BODY_BYTES": "4096",
        "INFERENCE_MAX_INPUTS": "3",
        "INFERENCE_MAX_CHOICES": "4",
        "INFERENCE_MAX_IMAGE_PIXELS": "64",
        "INFERENCE_MAX_TOKENS": "6",
        "INFERENCE_SLOTS": "2",
        "INFERENCE_QUEUE_LIMIT": "1",
        "INFERENCE_REQUIRE_API_VERSION": "true",
    }
    with running(write_small(workplace / "small"), workplace / "small.log", **limits) as server:
        yield server


@pytest.fixture(scope="session")
def troubled(workplace: Path) -> Iterator[Server]:
    """A sound deployment beside broken ones."""
    from tests.http.zoo import write_troubled

    with running(write_troubled(workplace / "troubled"), workplace / "troubled.log") as server:
        yield server


@pytest.fixture(scope="session")
def storage(workplace: Path) -> Iterator[Storage]:
    """A real blob server, empty."""
    from tests.blobs.storage import azurite

    with azurite(workplace / "azurite.log") as server:
        yield server


@pytest.fixture(scope="session")
def starter_embeddings(workplace: Path) -> Iterator[Server]:
    """The embeddings deployment that ships with the repository, where set-up has made its ONNX file."""
    folder = PROJECT / "models" / "starter-embeddings"
    if not (folder / "model.onnx").is_file():
        pytest.skip("models/starter-embeddings is made by `make serve` or `make test`")
    with running(folder, workplace / "starter.log") as server:
        yield server
