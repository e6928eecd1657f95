"""onnxruntime sessions: every option in one place, every failure as a sentence about the card."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import onnxruntime as ort

from inference.backends import prepared_graphs
from inference.cards.card import CardError
from inference.settings import Settings
from inference.settings.machine import available_processors, has_dedicated_processors

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
SLOW_FUSIONS = ("SkipLayerNormFusion",)
"""The optimizer that fuses a residual and its LayerNormalization into one operator, whose CPU kernel takes
five times as long as the parts: without it encoders are 10 % faster in float and 30 % in 8 bit. Decoders run
few rows at a time, where one operator less counts."""
LOG_ERRORS = 3
"""onnxruntime's severity that leaves out information and warnings."""


def open_session(
    path: Path, settings: Settings, *, role: str = "model", leave_out: Sequence[str] = ()
) -> ort.InferenceSession:
    """Return a session of an ONNX file, whose name in the card is `role`. Raises `CardError`.

    `leave_out` names optimizers of onnxruntime that do not suit the graph on a CPU.
    """
    chosen = providers(settings)
    left_out = list(leave_out) if chosen == [CPU] else []
    # Graphs are prepared with every optimizer.
    if not left_out and (session := _prepared(path, settings, chosen)) is not None:
        return session
    options = session_options(settings)
    try:
        session = ort.InferenceSession(path, options, providers=chosen, disabled_optimizers=left_out)
    except Exception as error:
        # The runtime names the file with its whole path, which callers must not see.
        reason = first_line(error).replace(str(path), path.name)
        raise CardError(f"files.{role}: {path.name!r} is no ONNX model that can run: {reason}") from error
    # A provider whose libraries do not load is left out with a line in the log, and a GPU paid for idles.
    if failed := [name for name in chosen if name not in session.get_providers()]:
        raise CardError(f"INFERENCE_PROVIDERS: {', '.join(failed)} could not be started on this machine")
    if not left_out:
        prepared_graphs.prepare_later(path, settings)
    return session


def _prepared(path: Path, settings: Settings, chosen: list[str]) -> ort.InferenceSession | None:
    """Return a session of the graph that an earlier start prepared, None where it cannot be opened."""
    found = prepared_graphs.find(path, settings)
    if found is None:
        return None
    options = session_options(settings)
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return ort.InferenceSession(found, options, providers=chosen)
    except Exception:  # noqa: BLE001  the original graph is there in any case
        prepared_graphs.discard(found)
        return None


def providers(settings: Settings) -> list[str]:
    """Return the execution providers of every session. Raises `CardError` for those onnxruntime lacks."""
    available = ort.get_available_providers()
    if unknown := [name for name in settings.providers if name not in available]:
        raise CardError(
            f"INFERENCE_PROVIDERS: onnxruntime has no {', '.join(unknown)} here, but {', '.join(available)}"
        )
    if CUDA in settings.providers and hasattr(ort, "preload_dlls"):
        ort.preload_dlls()  # CUDA's libraries, where they were installed as Python packages
    return list(settings.providers)


def session_options(settings: Settings) -> ort.SessionOptions:
    """Return the options of every session of this process."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = settings.threads or available_processors()
    options.inter_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = LOG_ERRORS
    # A pattern is kept for every combination of input shapes, and sequence lengths never stop varying.
    options.enable_mem_pattern = False
    # Without it an idle session's threads go on spinning and take the cores from the session that runs.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    # Weights are packed by all threads; onnxruntime before 1.32 does not know the key and packs by one.
    options.add_session_config_entry("session.prepack.enable_parallel", "1")
    if not spins(settings):
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def spins(settings: Settings) -> bool:
    """Return True if threads spin while they wait for each other.

    Measured on two shared processors: without spinning two to three times as fast while other processes
    computed, a quarter slower while none did.
    """
    return has_dedicated_processors() if settings.spinning == "auto" else settings.spinning == "on"


def require(
    names: Iterable[str], present: Iterable[str], *, role: str = "model", kind: str = "input"
) -> None:
    """Raise `CardError` for names that a graph lacks, with those that it has instead."""
    found = list(present)
    missing = [name for name in names if name not in found]
    if missing:
        raise CardError(
            f"files.{role}: the graph has no {kind} {', '.join(missing)}; it has {', '.join(found) or 'none'}"
        )


def first_line(error: Exception) -> str:
    """Return the line of an onnxruntime error that names the problem; the others are its stack."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
