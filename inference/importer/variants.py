"""Variants of a graph: the precisions that a source offers, and the choice for this machine's processor."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from inference.importer.findings import Finding, ImporterError, format_size
from inference.importer.sources import Listing

CPUINFO = Path("/proc/cpuinfo")
DOT_PRODUCT_FLAGS = frozenset({"avx512_vnni", "avx_vnni", "asimddp"})
"""CPU flags of instructions that multiply and add 8-bit integers without intermediate saturation."""


@dataclass(frozen=True, slots=True)
class Processor:
    """Instruction sets of a processor, as far as they decide between variants.

    `features` are named as file names name them: avx2, avx512, vnni, arm64. `dot_products` is True where
    8-bit integers have dot product instructions.
    """

    features: frozenset[str]
    dot_products: bool

    @classmethod
    def here(cls, cpuinfo: Path = CPUINFO, machine: str | None = None) -> Processor:
        """Return this machine's processor; where the system lists no flags, its architecture alone."""
        machine = (machine or platform.machine()).lower()
        flags = _flags(cpuinfo)
        features = {name for name in ("avx2", "avx512", "vnni") if any(name in flag for flag in flags)}
        arm = machine in ("arm64", "aarch64")
        # Apple's processors have dot products, and macOS has no cpuinfo that lists them.
        dot_products = bool(flags & DOT_PRODUCT_FLAGS) or (arm and platform.system() == "Darwin")
        return cls(frozenset(features | ({"arm64"} if arm else set())), dot_products)


def total_memory() -> int:
    """Return the bytes of memory of this machine; 8 GB where the system does not report it."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 8_000_000_000


def _flags(cpuinfo: Path) -> frozenset[str]:
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return frozenset()
    flags = (
        line.partition(":")[2].split() for line in lines if line.lower().startswith(("flags", "features"))
    )
    return frozenset(next(flags, []))


PRECISIONS: Mapping[str, frozenset[str]] = {
    "q4f16": frozenset({"q4f16"}),
    "bnb4": frozenset({"bnb4"}),
    "q4": frozenset({"q4", "int4", "uint4", "4bit"}),
    "int8": frozenset({"int8", "uint8", "q8", "quantized", "qint8", "quint8", "8bit"}),
    "fp16": frozenset({"fp16", "float16", "f16", "o4"}),
    "fp32": frozenset(),
}
"""Words of a path by the precision that they stand for; the first match counts, fp32 is the default."""

OTHER_HARDWARE = frozenset(
    {"cuda", "gpu", "directml", "dml", "webgpu", "web", "qnn", "npu", "tensorrt", "openvino", "vitisai"}
)
"""Words in the paths of graphs that are made for accelerators and browsers."""
CPU_FEATURES = frozenset({"avx2", "avx512", "vnni", "arm64"})

DECODER_PREFERENCE = ("q4", "int8", "q4f16", "fp32", "fp16", "bnb4")
"""A decoder reads all its weights for every token: the fewest bytes are the fastest."""
ENCODER_PREFERENCE = ("int8", "fp32", "fp16", "q4", "q4f16", "bnb4")
ENCODER_PREFERENCE_WITHOUT_DOT_PRODUCTS = ("fp32", "int8", "fp16", "q4", "q4f16", "bnb4")
"""Without 8-bit dot products int8 is hardly faster than fp32, and its sums may saturate."""

SMALL_DECODER = 64 * 1024 * 1024
SMALL_ENCODER = 256 * 1024 * 1024
"""Bytes up to which fp32 comes first: it is fast enough at that size, and rounds nothing."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One graph with its files of external data; `size` is the bytes of all of them.

    Of a listing alone the data is a guess, since the graph says what belongs to it.
    """

    path: str
    precision: str
    size: int
    data: tuple[str, ...]

    @property
    def stem(self) -> str:
        return PurePosixPath(self.path).stem


def variants(listing: Listing) -> list[Variant]:
    """Return every graph of a listing, sorted by path, with the data that has its name."""
    graphs = sorted(path for path in listing if path.endswith(".onnx"))
    return [_variant(path, listing) for path in graphs]


def _variant(path: str, listing: Listing) -> Variant:
    data = tuple(sorted(other for other in listing if other.startswith((f"{path}_", f"{path}."))))
    size = sum(listing[name].size for name in (path, *data))
    return Variant(path, precision_of(path), size, data)


def words_of(path: str) -> frozenset[str]:
    """Return the alphanumeric words of a path in lower case, without its extension."""
    return frozenset(re.split(r"[^a-z0-9]+", path.lower().removesuffix(".onnx")))


def precision_of(path: str) -> str:
    """Return the precision that a graph's file name tells, else the one that its folder tells."""
    name, folder = words_of(PurePosixPath(path).name), words_of(str(PurePosixPath(path).parent))
    for words in (name, folder):
        for precision, marks in PRECISIONS.items():
            if words & marks:
                return precision
    return "fp32"


def choose(
    offered: Sequence[Variant], *, generates: bool, wanted: str | None, processor: Processor, budget: int
) -> Finding[Variant]:
    """Choose a variant: the wanted precision or path, else the best for the processor.

    `budget` limits the bytes of a variant's files. Raises `ImporterError` where no variant is suitable.
    """
    if wanted is not None:
        return _wanted(offered, wanted, processor)
    suitable = [one for one in offered if _runs_on(processor, one) and one.size <= budget]
    if not suitable:
        raise ImporterError(
            f"No variant is suitable for this machine: {list_variants(offered)}. Its files may take "
            f"{format_size(budget)}, and it must be made for a CPU such as this one. Allow more with "
            "--memory MB, or name one with --variant."
        )
    preference = _preference(generates, processor)
    small = SMALL_DECODER if generates else SMALL_ENCODER
    best = min(suitable, key=lambda one: _rank(one, preference, small, processor))
    return Finding(best, _explain(best, offered))


def _preference(generates: bool, processor: Processor) -> Sequence[str]:
    if generates:
        return DECODER_PREFERENCE
    return ENCODER_PREFERENCE if processor.dot_products else ENCODER_PREFERENCE_WITHOUT_DOT_PRODUCTS


def _rank(
    one: Variant, preference: Sequence[str], small: int, processor: Processor
) -> tuple[bool, int, int, int, str]:
    small_fp32 = one.precision == "fp32" and one.size <= small
    features = len(words_of(one.path) & processor.features)
    return not small_fp32, preference.index(one.precision), -features, len(one.path), one.path


def _runs_on(processor: Processor, one: Variant) -> bool:
    words = words_of(one.path)
    return not words & OTHER_HARDWARE and words & CPU_FEATURES <= processor.features


def _wanted(offered: Sequence[Variant], wanted: str, processor: Processor) -> Finding[Variant]:
    named = [one for one in offered if wanted in (one.path, one.stem)]
    alike = [one for one in offered if one.precision == wanted]
    found = named or sorted(alike, key=lambda one: (not _runs_on(processor, one), len(one.path)))
    if not found:
        raise ImporterError(f"There is no variant {wanted}. The source has {list_variants(offered)}.")
    return Finding(found[0], f"The variant is {found[0].path} (--variant).")


def _explain(best: Variant, offered: Sequence[Variant]) -> str:
    if len(offered) == 1:
        return f"The graph is {best.path} ({format_size(best.size)})."
    others = list_variants([one for one in offered if one is not best])
    return (
        f"The variant is {best.path} ({best.precision}, {format_size(best.size)}), chosen of {len(offered)} "
        f"by processor and memory. The others are {others}; --variant takes one of them."
    )


def list_variants(offered: Sequence[Variant]) -> str:
    """Return paths, precisions and sizes as a sentence names them."""
    return ", ".join(f"{one.path} ({one.precision}, {format_size(one.size)})" for one in offered)
