"""Whatever SOURCE is, `models add` ends with a deployment or with a sentence: never with a traceback.

Random trees, and models whose files have random contents of every type, are added by the command itself.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inference.__main__ import main
from tests.importer.models import bare, decoder
from tests.support.encoders import write_image_encoder, write_text_encoder

KEYS = {
    "config.json": (
        *("architectures", "model_type", "is_encoder_decoder", "text_config", "vision_config", "vocab_size"),
        *("max_position_embeddings", "hidden_size", "num_attention_heads", "head_dim", "pad_token_id"),
        *("eos_token_id", "rope_scaling", "original_max_position_embeddings", "_name_or_path", "patch_size"),
        *("matryoshka_dimensions", "dim", "rope_parameters", "n_positions"),
    ),
    "tokenizer_config.json": ("chat_template", "eos_token", "pad_token", "model_max_length", "bos_token"),
    "generation_config.json": ("eos_token_id", "max_length"),
    "genai_config.json": ("model",),
    "preprocessor_config.json": (
        *("size", "crop_size", "resample", "image_mean", "image_std", "rescale_factor", "do_resize"),
        *("do_center_crop", "do_rescale", "do_normalize"),
    ),
    "sentence_bert_config.json": ("max_seq_length", "do_lower_case"),
    "config_sentence_transformers.json": ("prompts", "default_prompt_name", "matryoshka_dims"),
    "1_Pooling/config.json": ("pooling_mode", "pooling_mode_cls_token", "include_prompt"),
    "modules.json": (),
    "chat_template.json": ("chat_template",),
    "tokenizer.json": ("model", "added_tokens", "post_processor", "decoder", "normalizer", "pre_tokenizer"),
    "README.md": (),
    "chat_template.jinja": (),
    "model.onnx": (),
}
"""The files that the importer reads, and the keys that it or a backend reads of them."""

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 1, 2, 64, 10**6, 10**30, 1e308, float("inf"), float("nan"), 0.5, -2.5]),
    st.sampled_from(["", "cls", "mean", "a/b", "../../x", "{{ x", "\ud800", "\x00", "é" * 50, "bert", "7"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    *(
                        "type",
                        "path",
                        "model",
                        "decoder",
                        "head_size",
                        "content",
                        "name",
                        "template",
                        "query",
                    ),
                    *("height", "width", "shortest_edge", "rope_type", "hidden_size", "vision", ""),
                ]
            ),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=6,
)
BYTES = st.sampled_from(
    [
        *(b"", b"[]", b"{", b"null", b"7", b'"x"', b"\xff\xfe\x00", b"[" * 100_000, b'{"a":' * 50_000),
        *(b"\xef\xbb\xbf{}", b'{"eos_token_id": ' + b"9" * 5000 + b"}", b"\x00" * 64, b"{}\n{}"),
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n",
    ]
)


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("bases")
    return [
        decoder(root, "decoder"),
        bare(write_text_encoder(root, name="encoder")),
        bare(write_image_encoder(root, name="images")),
    ]


@contextmanager
def fresh() -> Iterator[Path]:
    """Yield an empty folder and let the command add deployments into one of its own."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as environment:
        environment.setenv("INFERENCE_MODELS", f"{folder}/deployments")
        yield Path(folder)


def require_sentence(capsys: pytest.CaptureFixture[str], *arguments: str) -> int:
    """Run `models` and return its exit code; every 1 comes with one sentence that is no defect's."""
    code = main(["models", *arguments])
    error = capsys.readouterr().err
    assert code in (0, 1)
    assert "defect" not in error, error
    assert "Traceback" not in error, error
    assert bool(error.strip()) is (code == 1)
    return code


@given(data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_model_with_any_contents_is_added_or_refused_with_a_sentence(
    data: st.DataObject, bases: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    with fresh() as folder:
        source = folder / "model"
        shutil.copytree(data.draw(st.sampled_from(bases)), source)
        for name in data.draw(st.lists(st.sampled_from(sorted(KEYS)), min_size=1, max_size=3, unique=True)):
            spoil(data, source / name, KEYS[name])
        require_sentence(capsys, "add", str(source), "--no-open")


def spoil(data: st.DataObject, path: Path, keys: tuple[str, ...]) -> None:
    """Replace a file by random bytes or JSON, or some of its keys by random values."""
    path.parent.mkdir(exist_ok=True)
    if not keys or data.draw(st.integers(0, 3)) == 0:
        text = st.one_of(BYTES, VALUES.map(lambda value: json.dumps(value).encode()))
        path.write_bytes(data.draw(text))
        return
    config: Any = json.loads(path.read_bytes()) if path.is_file() else {}
    for key in data.draw(st.lists(st.sampled_from(keys), min_size=1, max_size=3)):
        config[key] = data.draw(VALUES)
    path.write_text(json.dumps(config))


NAMES = st.sampled_from(
    [
        *(
            "model.onnx",
            "config.json",
            "onnx",
            "tokenizer.json",
            "model.onnx_data",
            "a b",
            "é",
            "\udcff",
            ".git",
        ),
        *("model.safetensors", "x.gguf", "vision_model.onnx", "encoder_model.onnx", "decoder_model.onnx"),
        *("modules.json", "1_Pooling", "genai_config.json", "model_index.json", "adapter_config.json"),
    ]
)


def link(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


def content(data: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(data)

    return write


def bind(path: Path) -> None:
    """Make a socket; its address may have some hundred bytes only, whatever the path has."""
    short = f"{gettempdir()}/{os.getpid()}.socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(short)
        Path(short).rename(path)


THINGS: list[Callable[[Path], None]] = [
    Path.mkdir,
    os.mkfifo,
    bind,
    link("nowhere"),
    link("."),
    link(".."),
    link("/dev/zero"),
    link("/proc/self/mem"),
    link("model.onnx"),
    content(b"[]"),
    content(b"\x08\x08"),
    content(b""),
]


@given(data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_tree_of_anything_is_refused_with_a_sentence(
    data: st.DataObject, capsys: pytest.CaptureFixture[str]
) -> None:
    with fresh() as folder:
        source = folder / "model"
        source.mkdir()
        folders = [source]
        for name, make in data.draw(st.lists(st.tuples(NAMES, st.sampled_from(THINGS)), max_size=8)):
            path = data.draw(st.sampled_from(folders)) / name
            if not os.path.lexists(path):
                make(path)
                folders += [path] if path.is_dir() and not path.is_symlink() else []
        command = data.draw(st.sampled_from(["add", "convert"]))
        assert require_sentence(capsys, command, str(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        *("", " ", "~nouser/x", "a" * 5000, f"{'a/' * 2500}b", "a\x00b", "\udcff", "/dev/null", "/dev/zero"),
        *(
            "hf:",
            "hf:a/b/c",
            "hf:../..",
            "hf:a/b@",
            "http://[::1",
            "https://",
            "http://a:99999999/x",
            "file:///x",
        ),
        *(
            "https://huggingface.co/",
            "https://huggingface.co/datasets/a/b",
            "https://hf.co/a",
            "~",
            "/proc/self",
        ),
        *("https://x.blob.core.windows.net:x/c", "https://x.blob.core.windows.net/%ff", "-x", "a\nb", "😀"),
    ],
)
@pytest.mark.parametrize("command", ["add", "convert"])
def test_any_text_as_source_is_refused_with_a_sentence(
    command: str,
    source: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("INFERENCE_MODELS", str(tmp_path / "deployments"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert require_sentence(capsys, command, "--", source) == 1
    assert not (tmp_path / "deployments").exists() or not list((tmp_path / "deployments").glob("[!.]*"))


@pytest.mark.parametrize("command", ["add", "convert"])
@pytest.mark.parametrize(
    "options",
    [
        *(["--into", "a\x00b"], ["--into", "b" * 5000], ["--into", "/dev/null/x"], ["--into", "/proc/x"]),
        *(["--name", ""], ["--name", "../x"], ["--name", "n" * 200], ["--name", "\udcff"]),
        *(["--variant", "nothing"], ["--memory", "-1"], ["--context", "0"], ["--context", "9" * 5]),
    ],
)
def test_any_option_is_refused_with_a_sentence(
    command: str, options: list[str], bases: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    with fresh():
        assert require_sentence(capsys, command, str(bases[0]), *options) == 1


@pytest.mark.parametrize("name", ["", "a" * 5000, "a\x00b", "../x", "\udcff", "tiny", "*", "/"])
@pytest.mark.parametrize("command", [["check"], ["show"], ["remove", "--yes"], ["default"]])
def test_any_name_is_refused_with_a_sentence(
    command: list[str], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with fresh() as folder:
        (folder / "deployments" / "tiny").mkdir(parents=True)
        (folder / "deployments" / "tiny" / "model.json").write_bytes(b"[" * 100_000)
        if command[0] == "default" and not name:
            return
        if (command[0], name) == ("remove", "tiny"):
            assert main(["models", *command, name]) == 0
            return
        assert require_sentence(capsys, *command, "--", name) == 1
