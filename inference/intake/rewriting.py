"""Graphs made fit before they are described: exact rewrites always, int8 where it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType

from inference.intake.finding import Say, tell
from inference.intake.graph import read_graph
from inference.intake.head_size import close_head_size, is_open
from inference.intake.refusal import IntakeError

MODEL = "model"


def rewrite(folder: Path, files: Mapping[str, str], *, int8: bool, say: Say) -> dict[str, str]:
    """The files of the roles after the rewriting. Raises `IntakeError` where int8 cannot be made."""
    made, graph = dict(files), read_graph(folder / files[MODEL])
    if int8 and graph.generates:
        raise IntakeError("--int8 is for encoders. Of a decoder take --variant int8, or convert it to int8.")
    if is_open(graph):
        tell(close_head_size(folder / made[MODEL]), say)
    if int8:
        made = {role: _int8(folder, name, say) for role, name in made.items()}
    elif graph.generates and (module := _module("lm_head")):
        made[MODEL] = _gathered(module, folder, made[MODEL], say)
    return made


def require_int8() -> ModuleType:
    """`write_int8(model, target)` of `int8.py`, which reads an fp32 graph and writes an int8 one."""
    module = _module("int8")
    if module is None:
        raise IntakeError("This installation cannot make int8 files: leave int8 away.")
    return module


def _int8(folder: Path, name: str, say: Say) -> str:
    module = require_int8()
    if read_graph(folder / name).weights != "float32":
        raise IntakeError(f"--int8 starts from float32 weights, and {name} has none. Say --variant fp32.")
    target = f"{Path(name).stem}_int8.onnx"
    module.write_int8(folder / name, folder / target)
    _drop(folder, name, target)
    say(f"{name} was written anew as {target}, in 8 bits.")
    return target


def _gathered(module: ModuleType, folder: Path, name: str, say: Say) -> str:
    """`gather_before_lm_head(source, target)` of `lm_head.py`; False where a graph is not of its kind."""
    target = f"{Path(name).stem}_gathered.onnx"
    if not module.gather_before_lm_head(folder / name, folder / target):
        (folder / target).unlink(missing_ok=True)
        return name
    _drop(folder, name, target)
    say("The graph was edited to compute logits only where they are needed; what it answers is the same.")
    return target


def _drop(folder: Path, name: str, target: str) -> None:
    """Removes a graph and those of its weights that the new one does not read."""
    kept = read_graph(folder / target).external
    for old in (name, *read_graph(folder / name).external):
        if old not in kept:
            (folder / old).unlink(missing_ok=True)


def _module(name: str) -> ModuleType | None:
    path = f"{__package__}.{name}"
    try:
        return import_module(path)
    except ModuleNotFoundError as error:
        if error.name == path:
            return None
        raise IntakeError(f"{error}. Install it: pip install 'model-inference[models]'.") from None
