"""Memory of real models: estimated, within a budget, and released."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from inference.cards.card import load
from inference.contracts import Finish, GenerationRequest, Sampling, Token
from inference.errors import DeploymentTooLarge, GenerationFailed
from inference.registry.memory_estimate import MIB, estimate_bytes, resident
from inference.registry.registry import Registry
from inference.settings import PROJECT, Settings
from tests.support.decoders import write_decoder
from tests.support.models import generator
from tools.graphs.decoder_graph import DecoderShape

WIDE = DecoderShape(
    vocab=4096, hidden=512, layers=3, heads=8, kv_heads=2, head_dim=64, ffn=2048, context=512, tied=False
)
"""The shape of a model of some 60 MB of float weights."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("wide")
    for number, name in enumerate(("one", "two")):
        write_decoder(root, name=name, seed=number, shape=WIDE)
    return root


async def answer(registry: Registry, name: str) -> list[int]:
    lease = await registry.lease(registry.get(name), patience=60)
    request = GenerationRequest((1, 2, 3), 4, Sampling(temperature=0))
    events = [event async for event in generator(lease.model).generate(request)]
    lease.release()
    return [event.id for event in events if isinstance(event, Token)]


async def turns(models: Path) -> list[int]:
    """Return the bytes of this process after each turn of two models that fit one at a time."""
    settings = Settings(models=(models,), threads=1, memory_mb=200, kv_memory_mb=8, prefix_cache_mb=0)
    registry = Registry(settings)
    try:
        first, after = await answer(registry, "one"), []
        for _ in range(3):
            await answer(registry, "two")
            assert [registry.state(registry.get(name)) for name in ("one", "two")] == ["closed", "open"]
            assert await answer(registry, "one") == first
            assert [registry.state(registry.get(name)) for name in ("one", "two")] == ["open", "closed"]
            after.append(resident())
        assert registry.health()["memory"]["used_mb"] <= 200
        return after
    finally:
        registry.close()


TURNS = """
import asyncio, json, sys
from pathlib import Path
from tests.registry.test_memory import turns
print(json.dumps(asyncio.run(turns(Path(sys.argv[1])))))
"""


def test_two_models_take_turns_in_the_memory_of_one(models: Path) -> None:
    settings = Settings(models=(models,), threads=1, kv_memory_mb=8, prefix_cache_mb=0)
    cost = [estimate_bytes(load(models / name), settings) for name in ("one", "two")]
    assert all(80 * MIB < size < 200 * MIB for size in cost)
    # In a process of its own: the allocator of this one keeps memory of the tests before.
    run = subprocess.run([sys.executable, "-c", TURNS, models], cwd=PROJECT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    after = json.loads(run.stdout)
    assert after[-1] < after[0] + cost[0] / 2, "what was closed gave its memory back"


async def test_stream_keeps_its_model_open_and_another_model_waits_for_its_memory(models: Path) -> None:
    settings = Settings(models=(models,), threads=1, memory_mb=200, kv_memory_mb=8, prefix_cache_mb=0)
    registry = Registry(settings)
    try:
        lease = await registry.lease(registry.get("one"), patience=60)
        stream = generator(lease.model).generate(GenerationRequest((1, 2, 3), 400, Sampling(temperature=0)))
        await anext(stream)
        other = asyncio.create_task(answer(registry, "two"))
        rest = [event async for event in stream]
        assert isinstance(rest[-1], Finish)
        assert not other.done()
        lease.release()
        assert await other
        with pytest.raises(GenerationFailed, match="closed"):
            await anext(generator(lease.model).generate(GenerationRequest((1,), 1)))
    finally:
        registry.close()


async def test_model_larger_than_the_budget_is_refused_with_the_numbers(models: Path) -> None:
    registry = Registry(Settings(models=(models,), threads=1, memory_mb=64, kv_memory_mb=8))
    try:
        with pytest.raises(DeploymentTooLarge, match=r"about \d+ MiB of memory, INFERENCE_MEMORY_MB is 64"):
            await registry.lease(registry.get("one"), patience=60)
    finally:
        registry.close()


async def test_remote_endpoint_takes_no_memory_and_closes_no_model(models: Path, tmp_path: Path) -> None:
    """With memory for one model it is opened as well, and neither closes the other."""
    card = {"name": "far", "provider": "tests", "type": "chat-completions", "backend": "remote"}
    (tmp_path / "far").mkdir()
    remote = {"url": "http://127.0.0.1:9/v1", "dialect": "openai", "model": "theirs"}
    (tmp_path / "far" / "model.json").write_text(json.dumps({**card, "remote": remote}))
    settings = Settings(models=(models, tmp_path), memory_mb=200, kv_memory_mb=8, prefix_cache_mb=0)
    registry = Registry(settings)
    far = registry.get("far")
    try:
        await answer(registry, "one")
        used = registry.health()["memory"]["used_mb"]
        assert estimate_bytes(far, settings) == 0
        (await registry.lease(far, patience=60)).release()
        assert [registry.state(registry.get(name)) for name in ("one", "far")] == ["open", "open"]
        assert registry.health()["memory"]["used_mb"] == used
        await answer(registry, "two")
        assert [registry.state(registry.get(name)) for name in ("one", "two", "far")] == [
            "closed",
            "open",
            "open",
        ]
    finally:
        await registry.aclose()


def test_kv_cache_is_a_share_of_the_memory_unless_set() -> None:
    assert Settings(memory_mb=400).kv_memory_mb == 100
    assert Settings(memory_mb=400, kv_memory_mb=7).kv_memory_mb == 7
    assert Settings().memory_mb > 0
