"""What this machine's processor is good at, as far as the choice of a variant goes."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from inference.importer.findings import Finding, ImporterError, megabytes
from inference.importer.sources import Listing

CPUINFO = Path("/proc/cpuinfo")
DOT_PRODUCTS = frozenset({"avx512_vnni", "avx_vnni", "asimddp"})
"""Flags of instructions that multiply and add 8-bit numbers without saturating on the way."""


@dataclass(frozen=True, slots=True)
class Processor:
    """`words` are what names of files say that want such a processor: avx2, avx512, vnni, arm64."""

    words: frozenset[str]
    dot_products: bool

    @classmethod
    def here(cls, cpuinfo: Path = CPUINFO, machine: str | None = None) -> Processor:
        """Of this machine; where the system does not list flags, only the architecture is known."""
        machine = (machine or platform.machine()).lower()
        flags = _flags(cpuinfo)
        words = {word for word in ("avx2", "avx512", "vnni") if any(word in flag for flag in flags)}
        arm = machine in ("arm64", "aarch64")
        # Apple's processors have them and have no cpuinfo to say so.
        dots = bool(flags & DOT_PRODUCTS) or (arm and platform.system() == "Darwin")
        return cls(frozenset(words | ({"arm64"} if arm else set())), dots)


def memory() -> int:
    """Bytes of memory that this machine has; 8 GB where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 8_000_000_000


def _flags(cpuinfo: Path) -> frozenset[str]:
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return frozenset()
    found = (
        line.partition(":")[2].split() for line in lines if line.lower().startswith(("flags", "features"))
    )
    return frozenset(next(found, []))


PRECISIONS: Mapping[str, frozenset[str]] = {
    "q4f16": frozenset({"q4f16"}),
    "bnb4": frozenset({"bnb4"}),
    "q4": frozenset({"q4", "int4", "uint4", "4bit"}),
    "int8": frozenset({"int8", "uint8", "q8", "quantized", "qint8", "quint8", "8bit"}),
    "fp16": frozenset({"fp16", "float16", "f16", "o4"}),
    "fp32": frozenset(),
}
"""Words of a path that tell a precision, the first that matches; fp32 is what says nothing."""

FOREIGN = frozenset(
    {"cuda", "gpu", "directml", "dml", "webgpu", "web", "qnn", "npu", "tensorrt", "openvino", "vitisai"}
)
"""Words of graphs made for other hardware."""
CPU_WORDS = frozenset({"avx2", "avx512", "vnni", "arm64"})

GENERATING = ("q4", "int8", "q4f16", "fp32", "fp16", "bnb4")
"""A decoder reads all its weights for every token: the fewest bytes are the fastest."""
ENCODING = ("int8", "fp32", "fp16", "q4", "q4f16", "bnb4")
WITHOUT_DOT_PRODUCTS = ("fp32", "int8", "fp16", "q4", "q4f16", "bnb4")
"""Without 8-bit dot products int8 is hardly faster than fp32, and its sums may saturate."""

SMALL_DECODER = 64 * 1024 * 1024
SMALL_ENCODER = 256 * 1024 * 1024
"""Bytes up to which fp32 is taken: so little weighs nothing, and nothing is lost to rounding."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One graph and what belongs to it; `size` is bytes, all files together."""

    path: str
    precision: str
    size: int
    data: tuple[str, ...]

    @property
    def stem(self) -> str:
        return PurePosixPath(self.path).stem


def variants(listing: Listing) -> list[Variant]:
    """Every graph of a listing, by path."""
    graphs = sorted(path for path in listing if path.endswith(".onnx"))
    return [_variant(path, listing) for path in graphs]


def _variant(path: str, listing: Listing) -> Variant:
    data = tuple(sorted(other for other in listing if other.startswith((f"{path}_", f"{path}."))))
    size = sum(listing[name].size for name in (path, *data))
    return Variant(path, precision_of(path), size, data)


def words(path: str) -> frozenset[str]:
    return frozenset(re.split(r"[^a-z0-9]+", path.lower().removesuffix(".onnx")))


def precision_of(path: str) -> str:
    """By the file's own words, else by those of its folder."""
    name, folder = words(PurePosixPath(path).name), words(str(PurePosixPath(path).parent))
    for said in (name, folder):
        for precision, marks in PRECISIONS.items():
            if said & marks:
                return precision
    return "fp32"


def choose(
    offered: Sequence[Variant], *, generates: bool, wanted: str | None, cpu: Processor, budget: int
) -> Finding[Variant]:
    """The variant for this machine: the wanted precision or path, else by size and processor.

    `budget` is how many bytes the files may have. Raises `ImporterError` where none will do.
    """
    if wanted is not None:
        return _wanted(offered, wanted, cpu)
    fit = [one for one in offered if _runs_here(one, cpu) and one.size <= budget]
    if not fit:
        raise ImporterError(
            f"None of the variants fits: {_list(offered)}. They may take {megabytes(budget)} here and must "
            "be made for a CPU like this one's; --memory MB allows more, --variant takes one all the same."
        )
    order = GENERATING if generates else ENCODING if cpu.dot_products else WITHOUT_DOT_PRODUCTS
    best = min(fit, key=lambda one: _rank(one, order, SMALL_DECODER if generates else SMALL_ENCODER, cpu))
    return Finding(best, _why(best, offered))


def _rank(one: Variant, order: Sequence[str], small: int, cpu: Processor) -> tuple[object, ...]:
    precise = one.precision == "fp32" and one.size <= small
    fitting = len(words(one.path) & cpu.words)
    return not precise, order.index(one.precision), -fitting, len(one.path), one.path


def _runs_here(one: Variant, cpu: Processor) -> bool:
    said = words(one.path)
    return not said & FOREIGN and said & CPU_WORDS <= cpu.words


def _wanted(offered: Sequence[Variant], wanted: str, cpu: Processor) -> Finding[Variant]:
    named = [one for one in offered if wanted in (one.path, one.stem)]
    alike = [one for one in offered if one.precision == wanted]
    found = named or sorted(alike, key=lambda one: (not _runs_here(one, cpu), len(one.path)))
    if not found:
        raise ImporterError(f"There is no variant {wanted}. There are: {_list(offered)}.")
    return Finding(found[0], f"The variant is {found[0].path}, as --variant says.")


def _why(best: Variant, offered: Sequence[Variant]) -> str:
    if len(offered) == 1:
        return f"The graph is {best.path} ({megabytes(best.size)})."
    return (
        f"Of {len(offered)} variants {best.path} is taken ({best.precision}, {megabytes(best.size)}) for "
        f"this processor and memory; the others: {_list([one for one in offered if one is not best])}. "
        "--variant takes another."
    )


def _list(offered: Sequence[Variant]) -> str:
    return ", ".join(_named(offered))


def _named(offered: Sequence[Variant]) -> Iterator[str]:
    for one in offered:
        yield f"{one.path} ({one.precision}, {megabytes(one.size)})"
