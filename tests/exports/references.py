"""What the public runtimes answer. Runs alone, in the builder's environment.

    python references.py greedy CHECKPOINT       transformers: 24 greedy tokens after each prompt
    python references.py genai DEPLOYMENT        onnxruntime-genai on the exported graph: the same
    python references.py hidden CHECKPOINT       transformers: mean of the last hidden state, length one
    python references.py scores CHECKPOINT       transformers: sigmoids of a cross-encoder's logits
    python references.py towers CHECKPOINT       transformers: a text's and a picture's vector, length one

Writes JSON: lists of tokens or of vectors.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

PROMPTS = ([72, 101, 108, 108, 111], list(range(40, 73)), [100] * 3 + [7, 200, 31])
ANSWER = 24
CONTEXT = 512
TEXTS = ([65, 66, 67, 68, 69, 70], [90, 80, 70])
PIXELS = 32


def greedy(folder: str) -> list[list[int]]:
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    answers = []
    for prompt in PROMPTS:
        tokens = list(prompt)
        for _ in range(ANSWER):
            with torch.no_grad():
                logits = model(torch.tensor([tokens]), use_cache=False).logits
            tokens.append(int(logits[0, -1].argmax()))
        answers.append(tokens[len(prompt) :])
    return answers


def genai(folder: str) -> list[list[int]]:
    import numpy as np
    import onnxruntime_genai as og

    model, answers = og.Model(folder), []
    for prompt in PROMPTS:
        parameters = og.GeneratorParams(model)
        # Windowed attention wants a cache as long as its window, however short the answer.
        parameters.set_search_options(max_length=CONTEXT, do_sample=False)
        generator = og.Generator(model, parameters)
        generator.append_tokens(np.array(prompt, np.int32))
        for _ in range(ANSWER):
            generator.generate_next_token()
        answers.append([int(token) for token in generator.get_sequence(0)][len(prompt) :])
    return answers


def hidden(folder: str) -> list[list[float]]:
    import torch
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        means = [model(torch.tensor([text])).last_hidden_state[0].mean(0) for text in TEXTS]
    return [_unit(vector) for vector in means]


def scores(folder: str) -> list[list[float]]:
    import torch
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        logits = [model(torch.tensor([text])).logits for text in TEXTS]
    return [one.sigmoid()[0].tolist() for one in logits]


def towers(folder: str) -> list[list[float]]:
    import torch
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    text = [65, 66, 67, 258] + [256] * 28
    with torch.no_grad():
        found = [
            model.get_text_features(input_ids=torch.tensor([text])),
            model.get_image_features(pixel_values=torch.zeros((1, 3, PIXELS, PIXELS))),
        ]
    return [_unit(getattr(one, "pooler_output", one)[0]) for one in found]


def _unit(vector: Any) -> list[float]:
    found: list[float] = (vector / vector.norm()).tolist()
    return found


KINDS: Mapping[str, Callable[[str], Any]] = {
    "greedy": greedy,
    "genai": genai,
    "hidden": hidden,
    "scores": scores,
    "towers": towers,
}

if __name__ == "__main__":
    print(json.dumps(KINDS[sys.argv[1]](sys.argv[2])))
