"""Writes smollm2.json: what SmolLM2-135M-Instruct says in transformers (float32) and in llama.cpp.

`python -m tests.golden.make_smollm2 MODEL.gguf [--llama-server PATH]`, with torch, transformers and gguf
installed. MODEL.gguf is the file of the package in tools/smollm2/package.txt. Without a server the tokens of
llama.cpp stay those of the file before.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx

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
            ids, margins = list(prompt), []
            for _ in range(TOKENS):
                logits = model(torch.tensor([ids])).logits[0, -1]
                first, second = logits.topk(2).values.tolist()
                ids.append(int(logits.argmax()))
                margins.append(round(first - second, 4))
                if ids[-1] in (0, 2):
                    break
            answers.append({"tokens": ids[len(prompt) :], "margins": margins})
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


def by_llama_cpp(server: str, gguf_file: Path, prompts: list[list[int]]) -> list[list[int]]:
    """Return greedy tokens of llama.cpp's server."""
    url = "http://127.0.0.1:18099"
    command = [server, "-m", str(gguf_file), "--port", "18099", "-t", "2", "-c", "2048", "--no-webui"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while httpx.get(f"{url}/health", timeout=60).status_code != 200:
            time.sleep(1)
        body = {"n_predict": TOKENS, "temperature": 0, "return_tokens": True, "cache_prompt": False}
        answers = [
            httpx.post(f"{url}/completion", json={**body, "prompt": prompt}, timeout=600).json()
            for prompt in prompts
        ]
    finally:
        process.terminate()
        process.wait()
    return [answer["tokens"] for answer in answers]


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gguf", type=Path)
    parser.add_argument("--llama-server")
    options = parser.parse_args()
    tokenizer = tokenizer_of(options.gguf)
    prompts = [tokenizer.encode(prompt_of(question)).ids for question in QUESTIONS]
    windows = [list(window) for window in windows_of(tokenizer.encode(read_text()).ids, [], WINDOW)]
    before = json.loads(TARGET.read_text(encoding="utf-8")) if TARGET.exists() else {}
    found = {
        "questions": list(QUESTIONS),
        "prompts": prompts,
        "transformers": by_transformers(options.gguf, prompts, windows),
        "llama_cpp": (
            by_llama_cpp(options.llama_server, options.gguf, prompts)
            if options.llama_server
            else before.get("llama_cpp")
        ),
    }
    TARGET.write_text(json.dumps(found) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
