"""The opening of a decoder's folder, and cards that contradict it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest

from inference.backends.decoder import opening
from inference.backends.decoder.graph import DecoderGraph
from inference.backends.session import open_session
from inference.cards import card
from inference.cards.card import CardError
from inference.contracts import Constraint, Grammar
from tests.backends.decoder.running import SETTINGS, opened
from tests.support import models
from tests.support.decoders import END, END_OF_TEXT, SHAPE, VOCABULARY, write_decoder, write_json
from tools.graphs.decoder_graph import decoder_graph, random_weights


@pytest.mark.parametrize(
    ("generation", "config", "expected"),
    [
        ({"eos_token_id": [END, END_OF_TEXT]}, {"eos_token_id": 1}, {END, END_OF_TEXT}),
        ({"eos_token_id": END}, {"eos_token_id": 1}, {END}),
        ({"top_p": 0.8}, {"eos_token_id": 1}, {1}),
        (None, {"eos_token_id": [1, 2]}, {1, 2}),
        (None, {"eos_token_id": None}, set()),
        (None, None, set()),
    ],
)
def test_stop_tokens_come_from_the_generation_config_first(
    tmp_path: Path, generation: Any, config: Any, expected: set[int]
) -> None:
    folder = write_decoder(tmp_path)
    for name, content in (("generation_config.json", generation), ("config.json", config)):
        (folder / name).unlink()
        if content is not None:
            write_json(folder / name, content)
    with opened(folder) as model:
        assert models.generative(model).stop_tokens == expected


def test_context_that_the_card_omits_is_that_of_config_json(tmp_path: Path) -> None:
    folder = write_decoder(tmp_path, card={"context": None})
    with opened(folder) as model:
        assert models.generator(model).context == SHAPE.context
        assert models.text_tokenizer(model).vocabulary_size == VOCABULARY


def test_the_vocabulary_is_read_after_opening_or_with_the_first_grammar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delays: list[float] = []

    class Timer(threading.Thread):
        """Notes its delay and never runs what it was to run."""

        def __init__(self, delay: float, _: object, __: object) -> None:
            super().__init__()
            delays.append(delay)

    monkeypatch.setattr(threading, "Timer", Timer)
    declared: dict[str, Any] = {"parameters": {"response_format": {}}}
    with opened(write_decoder(tmp_path, card=declared)) as model:
        grammars = models.generative(model).grammars
        assert grammars is not None
        grammars.check(Constraint(Grammar.REGEX, "a"))
    assert delays == [opening.VOCABULARY_DELAY]


@pytest.mark.parametrize(("slots", "megabytes", "rows"), [(8, 512, 8), (3, 512, 3), (64, 1, 4)])
def test_cache_has_the_slots_that_its_memory_allows(
    tmp_path: Path, slots: int, megabytes: int, rows: int
) -> None:
    # 2 layers x key and value x 2 heads x 16 x 4 bytes = 512 bytes a token, 256 KiB a row of 512 tokens.
    graph = DecoderGraph.of(open_session(write_decoder(tmp_path) / "model.onnx", SETTINGS))
    settings = replace(SETTINGS, slots=slots, kv_memory_mb=megabytes)
    assert opening.allocate(graph, SHAPE.context, settings).rows == rows


def test_context_of_which_not_one_row_fits_is_refused(tmp_path: Path) -> None:
    folder = write_decoder(tmp_path, shape=replace(SHAPE, context=3000))
    settings = replace(SETTINGS, kv_memory_mb=1)
    with pytest.raises(
        CardError, match=r"context: .* 3000 tokens takes 1\.5 MiB; .*MB is 1, which holds 2048"
    ):
        opening.open(card.load(folder), settings)


def change(name: str, **values: Any) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        write_json(folder / name, {**content, **values})

    return apply


def replaced(name: str, content: bytes) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return apply


def removed(name: str) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        (folder / name).unlink()

    return apply


def narrower_graph(folder: Path) -> None:
    shape = replace(SHAPE, vocab=128)
    onnx.save(decoder_graph(shape, random_weights(shape, 0)), folder / "model.onnx")


def longer_context(folder: Path) -> None:
    change("config.json", max_position_embeddings=4096)(folder)
    change("model.json", context=4096)(folder)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (change("model.json", context=600), r"context: 600 is more than config\.json's .*, 512"),
        (longer_context, r"context: the graph reaches 512 tokens, not 4096"),
        (narrower_graph, r"files\.tokenizer: it has 259 tokens, the graph's logits only 128"),
        (change("model.json", files={"model": "other.onnx"}), r"files\.model: 'other\.onnx' is not in the"),
        (removed("model.onnx"), r"files\.model: 'model\.onnx' is not in the folder"),
        (removed("tokenizer.json"), r"files\.tokenizer: 'tokenizer\.json' is not in the folder"),
        (replaced("model.onnx", b"no model"), r"files\.model: 'model\.onnx' is no ONNX model"),
        (replaced("config.json", b"{"), r"config\.json is not JSON"),
        (replaced("generation_config.json", b"[]"), r"generation_config\.json is not a JSON object"),
        (change("generation_config.json", eos_token_id="</s>"), r"generation_config\.json: eos_token_id is"),
        (change("config.json", max_position_embeddings="many"), r"config\.json: max_position_embeddings"),
    ],
)
@pytest.mark.usefixtures("capfd")
def test_card_that_contradicts_its_files_is_refused_by_file_and_field(
    tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    folder = write_decoder(tmp_path)
    spoil(folder)
    with pytest.raises(CardError, match=message):
        opening.open(card.load(folder), SETTINGS)


def test_context_that_no_file_states_is_refused(tmp_path: Path) -> None:
    folder = write_decoder(tmp_path, card={"context": None})
    (folder / "config.json").unlink()
    with pytest.raises(CardError, match=r"context is missing, and no config\.json"):
        opening.open(card.load(folder), SETTINGS)


FORMS: list[dict[str, Any]] = [
    {"parameters": {"response_format": {}}},
    *({"extras": {name: {}}} for name in ("guided_regex", "guided_choice", "guided_grammar")),
]


@pytest.mark.parametrize("declared", FORMS, ids=lambda declared: str(next(iter(declared.values()))))
def test_grammars_are_opened_where_a_parameter_needs_them(tmp_path: Path, declared: dict[str, Any]) -> None:
    with opened(write_decoder(tmp_path, card=declared)) as model:
        grammars = models.generative(model).grammars
        assert grammars is not None
        matcher = grammars.matcher(Constraint(Grammar.REGEX, "ab"))
        assert matcher.forced() == [ord("a"), ord("b")]
        for token in (ord("a"), ord("b"), END):
            matcher.advance(token)


def test_no_grammars_are_opened_without_such_a_parameter(tmp_path: Path) -> None:
    with opened(write_decoder(tmp_path)) as model:
        assert models.generative(model).grammars is None


def test_tokenizer_whose_token_bytes_are_unknown_cannot_constrain_answers(tmp_path: Path) -> None:
    folder = write_decoder(tmp_path, card={"parameters": {"response_format": {}}})
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    write_json(folder / "tokenizer.json", {**tokenizer, "decoder": {"type": "Fuse"}})
    with pytest.raises(
        CardError, match=r"files.tokenizer: its decoder is neither ByteLevel nor ByteFallback"
    ):
        opened(folder).__enter__()
