"""Converts every checkpoint with the real exporters, opens the result and compares it with the references.

    python -m tests.exports.run [--only NAME ...] [--folder build/exports]

Exit code 1 when anything could not be converted or differs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from inference.backends.loaded_models import LoadedModel, RerankModel
from inference.contracts import GenerationRequest, Sampling, Token, TokenizedInput
from inference.importer.add import AddOptions
from inference.importer.export.convert import ConvertOptions, convert, python_of, run_process
from inference.importer.export.exporters import EXPORTERS
from inference.importer.findings import ImporterError
from inference.importer.sources import FolderSource
from inference.registry.registry import Registry
from inference.settings import PROJECT, Settings
from tests.exports.checkpoints import DECODERS, ENCODERS, OTHER_DECODERS
from tests.exports.references import ANSWER, PIXELS, PROMPTS, TEXTS
from tests.support import models
from tests.support.decoders import CHAT_TEMPLATE, byte_tokenizer, write_json
from tests.support.encoders import PREPROCESSOR
from tests.support.encoders import byte_tokenizer as encoder_tokenizer

HERE = Path(__file__).parent
BUILDER_ONLY = ("gemma", "phi")
"""Decoders whose graph the importer does not write itself."""
NEAR = 1e-3
"""Largest difference of a number of a vector of length one, float32 against float32."""


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    checkpoint: str
    choice: ConvertOptions
    compare: Callable[[Workshop, Case, Path], str]


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where everything lies, and the Python that has transformers and onnxruntime-genai."""

    folder: Path
    python: str

    def reference(self, kind: str, folder: Path) -> Any:
        command = [self.python, str(HERE / "references.py"), kind, str(folder)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise ImporterError(f"the reference failed: {ended.stderr.strip().splitlines()[-1]}")
        return json.loads(ended.stdout.splitlines()[-1])

    def checkpoint(self, case: Case) -> Path:
        return self.folder / "checkpoints" / case.checkpoint


def opened(deployment: Path, work: Callable[[LoadedModel], Any]) -> Any:
    registry = Registry(Settings(models=(deployment,)))
    if registry.broken:
        raise ImporterError(registry.broken[0].reason)

    async def go() -> Any:
        return await work(await registry.open(registry.deployments[0], patience=600))

    try:
        return asyncio.run(go())
    finally:
        registry.close()


async def greedy(model: LoadedModel) -> list[list[int]]:
    answers = []
    for prompt in PROMPTS:
        request = GenerationRequest(tuple(prompt), ANSWER, Sampling(temperature=0))
        events = models.generator(model).generate(request)
        answers.append([event.id async for event in events if isinstance(event, Token)])
    return answers


def tokens(shop: Workshop, case: Case, deployment: Path) -> str:
    """Greedy tokens: of fp32 those of transformers, of the builder's graphs those of onnxruntime-genai."""
    mine, notes = opened(deployment, greedy), []
    references = {}
    if case.choice.exporter == "builder":
        references["onnxruntime-genai"] = shop.reference("genai", deployment)
    if case.choice.precision == "fp32":
        references["transformers"] = shop.reference("greedy", shop.checkpoint(case))
    for name, answers in references.items():
        if mine != answers:
            raise ImporterError(f"differs from {name}: {mine} is not {answers}")
        notes.append(name)
    return f"{len(PROMPTS)} x {ANSWER} tokens equal {' and '.join(notes)}"


def hidden(shop: Workshop, case: Case, deployment: Path) -> str:
    async def embed(model: LoadedModel) -> Any:
        return await models.text_embedder(model).embed(TEXTS)

    return _near(opened(deployment, embed), shop.reference("hidden", shop.checkpoint(case)))


def scores(shop: Workshop, case: Case, deployment: Path) -> str:
    async def score(model: LoadedModel) -> Any:
        assert isinstance(model, RerankModel)
        return await model.scorer.score([TokenizedInput(tuple(text)) for text in TEXTS])

    return _near(opened(deployment, score), shop.reference("scores", shop.checkpoint(case)))


def towers(shop: Workshop, case: Case, deployment: Path) -> str:
    async def embed(model: LoadedModel) -> Any:
        grey = np.zeros((PIXELS, PIXELS, 3), np.uint8)
        text = await models.text_embedder(model).embed([[65, 66, 67, 258]])
        return np.concatenate([text, await models.image_embedder(model).embed_images([grey])])

    return _near(opened(deployment, embed), shop.reference("towers", shop.checkpoint(case)))


def _near(mine: Any, reference: Any) -> str:
    difference = float(np.abs(np.array(mine) - np.array(reference)).max())
    if difference > NEAR:
        raise ImporterError(f"vectors differ by {difference:.5f}")
    return f"{len(reference)} vectors, largest difference {difference:.1e}"


def cases(environments: Path) -> Iterator[Case]:
    for name in DECODERS:
        for precision in ("fp32", "int4"):
            choice = ConvertOptions("builder", precision, environments)
            yield Case(f"{name}-{precision}", name, choice, tokens)
        if name not in BUILDER_ONLY:
            yield Case(f"{name}-direct", name, ConvertOptions("direct", "fp32", environments), tokens)
    for name in OTHER_DECODERS:
        yield Case(f"{name}-optimum", name, ConvertOptions("optimum", "fp32", environments), tokens)
    for name in ENCODERS:
        for exporter in ("optimum", "torch"):
            yield Case(f"{name}-{exporter}", name, ConvertOptions(exporter, "fp32", environments), hidden)
        crossed = ConvertOptions("optimum", "fp32", environments)
        yield Case(f"{name}-cross-optimum", f"{name}-cross", crossed, scores)
    yield Case("clip-torch", "clip", ConvertOptions("torch", "fp32", environments), towers)


def write_checkpoints(shop: Workshop) -> None:
    target = shop.folder / "checkpoints"
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run([shop.python, str(HERE / "checkpoints.py"), str(target)], check=True)
    crossed = [f"{name}-cross" for name in ENCODERS]
    for name in (*DECODERS, *OTHER_DECODERS, *ENCODERS, *crossed, "clip"):
        decoder = name in DECODERS or name in OTHER_DECODERS
        tokenizer = byte_tokenizer() if decoder else encoder_tokenizer()
        tokenizer.save(str(target / name / "tokenizer.json"))
        config: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast"}
        if decoder:
            config |= {"eos_token": "<|endoftext|>", "chat_template": CHAT_TEMPLATE}
        else:
            config |= {"pad_token": "[PAD]", "model_max_length": 32 if name == "clip" else 128}
        write_json(target / name / "tokenizer_config.json", config)
    # A picture of zeros stays one, as the reference has it.
    plain = {
        "do_normalize": False,
        "size": {"shortest_edge": PIXELS},
        "crop_size": {"height": PIXELS, "width": PIXELS},
    }
    write_json(target / "clip" / "preprocessor_config.json", {**PREPROCESSOR, **plain})


def attempt(shop: Workshop, case: Case) -> tuple[bool, str]:
    into = shop.folder / "deployments"
    # The builder's graphs stay as they are, since onnxruntime-genai runs them too.
    order = AddOptions(name=case.name, into=into, opens=case.choice.exporter != "builder")
    shutil.rmtree(into / case.name, ignore_errors=True)
    try:
        folder = FolderSource(shop.checkpoint(case))
        deployment = convert(folder, case.choice, order, Settings(models=(into,)), lambda _: None)
        return True, case.compare(shop, case, deployment)
    except ImporterError as error:
        return False, str(error)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.exports.run", description=__doc__)
    parser.add_argument("--only", nargs="*", default=[], help="begins of the cases' names")
    parser.add_argument("--folder", type=Path, default=PROJECT / "build" / "exports")
    options = parser.parse_args(arguments)
    folder = options.folder.resolve()
    environments = folder / "environments"
    python = python_of(EXPORTERS["builder"], environments, run_process, print)
    shop = Workshop(folder, python)
    write_checkpoints(shop)
    failed = 0
    for case in cases(environments):
        if options.only and not case.name.startswith(tuple(options.only)):
            continue
        began = time.monotonic()
        fine, note = attempt(shop, case)
        failed += not fine
        print(
            f"{'ok' if fine else 'FAILED':<8}{case.name:<24}{time.monotonic() - began:6.1f} s  {note}",
            flush=True,
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
