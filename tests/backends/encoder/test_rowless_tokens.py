"""Encoders whose tokenizer has a token that the graph has no row for."""

from pathlib import Path

import pytest

from inference.api.embeddings import EmbeddingsRequest
from inference.api.validation import validate
from inference.backends.encoder import text_encoder
from inference.backends.model_files import pad_token
from inference.cards.card import load
from inference.errors import InvalidInput
from inference.pipeline.text_embedding import lower_texts
from inference.settings import Settings
from tests.support.decoders import write_json
from tests.support.encoders import VOCABULARY, write_text_encoder


def test_a_token_without_a_row_is_refused_in_texts_and_never_pads(tmp_path: Path) -> None:
    folder = write_text_encoder(tmp_path)
    added = {str(VOCABULARY): {"content": "<pad>", "special": True}}
    write_json(folder / "tokenizer_config.json", {"pad_token": "<pad>", "added_tokens_decoder": added})
    model = text_encoder.open(load(folder), Settings())
    try:
        assert model.tokenizer.encode("<pad>", special=False) == [VOCABULARY]
        assert pad_token(folder, model.tokenizer) == 0
        request = validate(EmbeddingsRequest, {"input": ["fine", "a <pad>"]})
        with pytest.raises(InvalidInput, match=f"token id {VOCABULARY} has no row") as refused:
            lower_texts(request, load(folder).card, model)
        assert refused.value.offenders[0].loc == ("body", "input", 1)
    finally:
        model.close()
