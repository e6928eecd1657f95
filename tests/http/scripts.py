"""Deployments that say what they are told to: decoders whose every token leads to one next token.

Each token of the script stands alone in its dimension of the embedding, and the head points from there to the
token that follows; attention and feed-forward add nothing. Any other token, such as the line break that ends
a chat prompt, leads to the script's first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import AddedToken

from tests.support.decoders import END, VOCABULARY, byte_tokenizer, write_deployment
from tools.graphs.decoder_graph import DecoderShape, Weights, decoder_graph, random_weights

STEEPNESS = 10
"""How much more likely, in logits per unit of the embedding, the script is than anything else."""


def write_script(
    folder: Path,
    script: Sequence[bytes],
    *,
    name: str,
    context: int = 512,
    card: Mapping[str, Any] | None = None,
    loops: bool = False,
    fails: bool = False,
    special: Collection[str] = (),
    pause: int | None = None,
) -> Path:
    """A deployment that answers with the pieces of `script`, one a token.

    A piece is one byte, or ASCII text that gets a token of its own; no piece comes twice. At the end the
    answer stops, or begins again where it `loops`; where it `fails`, the run over the last piece gives NaN.
    The tokens of the texts in `special` are such as decoders leave out. After the first `pause` pieces the
    answer stops too: those that follow are for prompts that end in one of them.
    """
    assert len(set(script)) == len(script)
    texts = [piece.decode("ascii") for piece in script if len(piece) > 1]
    tokens = [piece[0] if len(piece) == 1 else VOCABULARY + texts.index(piece.decode()) for piece in script]
    steps = [*tokens, tokens[0] if loops else END]
    if pause is not None:
        steps[pause] = END
    shape = DecoderShape(
        vocab=VOCABULARY + max(len(texts), 1),
        hidden=64,
        layers=1,
        heads=1,
        kv_heads=1,
        head_dim=16,
        ffn=16,
        context=context,
        tied=False,
    )
    graph = decoder_graph(shape, _weights(shape, tokens, steps, fails=fails), bits=32)
    target = write_deployment(folder, graph, name=name, context=context, card=card)
    tokenizer = byte_tokenizer()
    tokenizer.add_tokens([AddedToken(text, normalized=False, special=text in special) for text in texts])
    tokenizer.save(str(target / "tokenizer.json"))
    return target


def _weights(shape: DecoderShape, tokens: Sequence[int], steps: Sequence[int], *, fails: bool) -> Weights:
    """Return weights by which the nth of `tokens` leads to `steps[n]`, and any other token to `steps[0]`."""
    weights = random_weights(shape, seed=0)
    for name in ("self_attn.o_proj", "mlp.down_proj"):
        weights[f"model.layers.0.{name}.weight"][:] = 0
    weights["model.norm.weight"][:] = 1
    embedding = np.zeros((shape.vocab, shape.hidden), np.float32)
    head = np.zeros((shape.vocab, shape.hidden), np.float32)
    embedding[:, 0] = 1
    places = range(1, len(tokens) + 1)
    for token, place in zip(tokens, places, strict=True):
        embedding[token] = np.eye(shape.hidden, dtype=np.float32)[place]
    for place, token in enumerate(steps):
        head[token, place] = STEEPNESS
    if fails:
        embedding[tokens[-1]] = np.nan
    weights["model.embed_tokens.weight"], weights["lm_head.weight"] = embedding, head
    return weights
