"""SOURCE with a GGUF file at its end."""

from __future__ import annotations

import pytest

from inference.importer.gguf.locations import split_file

BLOBS = "https://a.blob.core.windows.net"


@pytest.mark.parametrize(
    ("text", "source", "file"),
    [
        ("hf:o/r:m-Q4_0.gguf", "hf:o/r", "m-Q4_0.gguf"),
        ("hf:o/r:deep/m.gguf", "hf:o/r", "deep/m.gguf"),
        ("hf:o/r@v1:Q4_K_M", "hf:o/r@v1", "Q4_K_M"),
        ("hf:o/r:q8_0", "hf:o/r", "q8_0"),
        ("https://huggingface.co/o/r/blob/main/m.gguf", "https://huggingface.co/o/r/tree/main", "m.gguf"),
        (
            "https://huggingface.co/o/r/resolve/v%2F1/a%20b/m.gguf?download=true",
            "https://huggingface.co/o/r/tree/v%2F1",
            "a b/m.gguf",
        ),
        (f"{BLOBS}/c/models/m.gguf?sig=s", f"{BLOBS}/c/models?sig=s", "m.gguf"),
        (f"{BLOBS}/c/m.gguf", f"{BLOBS}/c", "m.gguf"),
    ],
)
def test_a_named_file_becomes_the_variant(text: str, source: str, file: str) -> None:
    assert split_file(text) == (source, file)


@pytest.mark.parametrize(
    "text",
    [
        "hf:o/r",
        "hf:o/r@main",
        "hf:o/r:model.onnx",
        "hf:o/r:main",
        "folder",
        "file.gguf",
        "C:\\models\\m.gguf",
        f"{BLOBS}/c/models",
        "https://huggingface.co/o/r",
    ],
)
def test_other_sources_stay_as_they_are(text: str) -> None:
    assert split_file(text) == (text, None)
