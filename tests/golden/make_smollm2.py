"""Writes smollm2.json: what SmolLM2-135M-Instruct says in transformers (float32) and in llama.cpp.

`python -m tests.golden.make_smollm2 MODEL.gguf`, with torch, transformers, accelerate, gguf and
llama-cpp-python installed. MODEL.gguf is the file of the package in tools/smollm2/package.txt. `--only` one
of the two leaves the other's numbers as they are.
"""

from __future__ import annotations

import argparse
import json
from importlib import import_module
from pathlib import Path
from typing import Any

from inference.conformance.quality import WINDOW, read_text, windows_of

TARGET = Path(__file__).with_name("smollm2.json")
TOKENS = 32
SYSTEM = {"role": "system", "content": "You are a helpful AI assistant named SmolLM, trained by Hugging Face"}
QUESTIONS = (
    "What is the capital of France?",
    "Write one sentence about the sea.",
    "List three colours.",
    "Say hello in Spanish.",
    "What is 2 + 2?",
    "Who wrote Hamlet?",
    "Give me a title for a story about a lost dog.",
    "Explain what a computer is to a child.",
)


def prompt_of(question: str) -> str:
    """Return the text of a chat, as the template of the file writes it."""
    turns = "".join(
        f"<|im_start|>{message['role']}\n{message['content']}<|im_end|>\n"
        for message in (SYSTEM, {"role": "user", "content": question})
    )
    return f"{turns}<|im_start|>assistant\n"


def tokenizer_of(gguf_file: Path) -> Any:
    """Return the product's tokenizer: transformers' own of this file does not split digits."""
    import tokenizers

    from inference.importer.gguf.header import read_header
    from inference.importer.gguf.side_files import side_files

    return tokenizers.Tokenizer.from_buffer(side_files(read_header(gguf_file))["tokenizer.json"])


def by_transformers(gguf_file: Path, prompts: list[list[int]], windows: list[list[int]]) -> dict[str, Any]:
    """Return greedy tokens, how close their runners-up were, and the log probabilities of a text's tokens."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(
        str(gguf_file.parent), gguf_file=gguf_file.name, dtype=torch.float32
    ).eval()
    answers = []
    with torch.inference_mode():
        for prompt in prompts:
            tokens: list[int] = []
            margins: list[float] = []
            fed, cache = prompt, None
            while len(tokens) < TOKENS and tokens[-1:] not in ([0], [2]):
                found = model(torch.tensor([fed]), past_key_values=cache, use_cache=True)
                logits, cache = found.logits[0, -1], found.past_key_values
                first, second = logits.topk(2).values.tolist()
                tokens.append(int(logits.argmax()))
                margins.append(round(first - second, 4))
                fed = tokens[-1:]
            answers.append({"tokens": tokens, "margins": margins})
        chosen: list[float] = []
        best: list[int] = []
        for window in windows:
            logprobs = torch.log_softmax(model(torch.tensor([window])).logits[0, :-1], -1)
            chosen += logprobs.gather(1, torch.tensor(window[1:])[:, None])[:, 0].tolist()
            best += logprobs.argmax(-1).tolist()
    return {
        "answers": answers,
        "windows": windows,
        "logprobs": [round(value, 4) for value in chosen],
        "best": best,
    }


def by_llama_cpp(gguf_file: Path, prompts: list[list[int]]) -> list[list[int]]:
    """Return greedy tokens of llama.cpp."""
    # Imported by name: it is not installed where the types are checked.
    one = {"n_threads": 1, "n_threads_batch": 1}
    llama = import_module("llama_cpp").Llama(str(gguf_file), n_ctx=2048, verbose=False, **one)
    answers = []
    for prompt in prompts:
        llama.reset()
        tokens: list[int] = []
        for token in llama.generate(prompt, temp=0.0):
            tokens.append(int(token))
            if len(tokens) == TOKENS or token in (0, 2):
                break
        answers.append(tokens)
    return answers


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gguf", type=Path)
    parser.add_argument("--only", choices=("transformers", "llama_cpp"))
    options = parser.parse_args()
    tokenizer = tokenizer_of(options.gguf)
    prompts = [tokenizer.encode(prompt_of(question)).ids for question in QUESTIONS]
    windows = [list(window) for window in windows_of(tokenizer.encode(read_text()).ids, [], WINDOW)]
    before = json.loads(TARGET.read_text(encoding="utf-8")) if TARGET.exists() else {}
    found: dict[str, Any] = {
        **before,
        "questions": list(QUESTIONS),
        "prompts": prompts,
    }
    if options.only != "llama_cpp":
        found["transformers"] = by_transformers(options.gguf, prompts, windows)
    if options.only != "transformers":
        found["llama_cpp"] = by_llama_cpp(options.gguf, prompts)
    TARGET.write_text(json.dumps(found) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
