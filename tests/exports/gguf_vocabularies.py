"""Compares the tokenizers of GGUF vocabularies with llama.cpp's ids.

`python -m tests.exports.gguf_vocabularies FOLDER`

FOLDER is `models` of llama.cpp's sources, with ggml-vocab-*.gguf, texts in *.gguf.inp and ids in *.gguf.out.
With `--llama-cpp` every vocabulary gets a harder corpus, whose ids come from llama-cpp-python.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path

import tokenizers

from inference.conformance.quality import read_text
from inference.importer.findings import ImporterError
from inference.importer.gguf.header import read_header
from inference.importer.gguf.tokenizer import tokenizer_json
from inference.importer.gguf.vocabulary import read_vocabulary

SEPARATOR = "\n__ggml_vocab_test__\n"
HARD = (
    "I'LL we'Re they'd 'tis O'Neil's don't DON'T it\u2019s",
    "0 12 123 1234 12345678 3.14159 1,000,000 \u00bd \u2167 \u0663\u0664\u0665 1e-10",
    "  two   three    four     tabs\t\tand\r\nlines\n\n\n  end  ",
    "def f(x):\n    return {'a': [1, 2], \"b\": x**2}  # ok\n\tif x != None: pass",
    (
        "\u4f60\u597d\uff0c\u4e16\u754c\uff01 \u3053\u3093\u306b\u3061\u306f "
        "\uc548\ub155\ud558\uc138\uc694 \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35"
    ),
    (
        "\u041f\u0440\u0438\u0432\u0435\u0442 \u043c\u0438\u0440 \u0645\u0631\u062d\u0628\u0627 "
        "\u05e9\u05dc\u05d5\u05dd \u0928\u092e\u0938\u094d\u0924\u0947"
    ),
    (
        "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f3f3\ufe0f\u200d\U0001f308 "
        "\U0001f44d\U0001f3fd \u2764\ufe0f \U0001d400\U0001d401"
    ),
    "camelCase HTTPServer snake_case kebab-case \u00c9T\u00c9 \u00df\u1e9e \u01c5 x\u00b2",
    "a\u00a0b\u2003c\u200bd\u2028e\ufefff",
    "!!! ??? ... --- ___ *** ### @@@ $$$ %%% ^^^ &&& ((([[[{{{ <<<>>> ~~~ ``` ||| \\\\",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa " + " " * 70 + "x",
    "https://example.com/a/b?c=d&e=f#g user@example.org C:\\Users\\x",
)


def main() -> int:
    """Return 0 where every vocabulary has llama.cpp's ids."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--llama-cpp", action="store_true")
    options = parser.parse_args()
    failed = 0
    for path in sorted(options.folder.glob("*.gguf")):
        try:
            header = read_header(path)
            made = json.dumps(tokenizer_json(header, read_vocabulary(header)))
        except ImporterError as error:
            print(f"{path.name:<36}refused: {error}")
            continue
        tokenizer = tokenizers.Tokenizer.from_str(made)
        composed = json.loads(made)["normalizer"] == {"type": "NFC"}
        wrong = list(_wrong(tokenizer, _expected(path, options.llama_cpp)))
        failed += len(wrong)
        note = " (the original composes texts, llama.cpp does not)" if composed and wrong else ""
        print(f"{path.name:<36}{len(wrong)} texts differ{note}")
        for text in wrong[:5]:
            print(f"    {text[:80]!r}")
    return 1 if failed else 0


def _expected(path: Path, llama_cpp: bool) -> Iterator[tuple[str, list[int]]]:
    """Yield texts with llama.cpp's ids, special tokens left out."""
    texts, ids = (path.with_name(f"{path.name}.{kind}") for kind in ("inp", "out"))
    if texts.is_file() and ids.is_file():
        listed = texts.read_bytes().decode().split(SEPARATOR)
        for text, line in zip(listed, ids.read_text(encoding="utf-8").splitlines(), strict=False):
            yield text, [int(number) for number in line.split()]
    if llama_cpp:
        llama = import_module("llama_cpp").Llama(str(path), vocab_only=True, verbose=False)
        for text in (*HARD, *read_text().split("\n\n"), read_text()):
            yield text, llama.tokenize(text.encode(), add_bos=False, special=True)


def _wrong(tokenizer: tokenizers.Tokenizer, expected: Iterator[tuple[str, Sequence[int]]]) -> Iterator[str]:
    for text, ids in expected:
        if tokenizer.encode(text, add_special_tokens=False).ids != list(ids):
            yield text


if __name__ == "__main__":
    sys.exit(main())
