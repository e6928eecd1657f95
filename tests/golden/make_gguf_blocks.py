"""Makes gguf_blocks.npz: random blocks of each quantized type of GGUF, and their weights.

The weights are those of the `gguf` package, which has the reference in Python of ggml's formats:

    pip install gguf==0.19.0 numpy
    python tests/golden/make_gguf_blocks.py
"""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

TYPES = {
    "Q4_0": (0,),
    "Q4_1": (0, 2),
    "Q5_0": (0,),
    "Q5_1": (0, 2),
    "Q8_0": (0,),
    "Q2_K": (80, 82),
    "Q3_K": (108,),
    "Q4_K": (0, 2),
    "Q5_K": (0, 2),
    "Q6_K": (208,),
    "IQ4_NL": (0,),
    "IQ4_XS": (0,),
}
"""Bytes of a block at which its float16 are, by type."""
WEIGHTS = 512


def main() -> None:
    """Write the blocks and weights of all types."""
    constants, quants = import_module("gguf.constants"), import_module("gguf.quants")
    rng = np.random.default_rng(7)
    arrays: dict[str, Any] = {}
    for name, halves in TYPES.items():
        kind = constants.GGMLQuantizationType[name]
        block, size = constants.GGML_QUANT_SIZES[kind]
        blocks = rng.integers(0, 256, (WEIGHTS // block, size), dtype=np.uint8)
        for begin in halves:
            scales = rng.standard_normal((len(blocks), 1)).astype("<f2")
            blocks[:, begin : begin + 2] = scales.view(np.uint8)
        arrays[f"{name}.blocks"] = blocks
        arrays[f"{name}.weights"] = quants.dequantize(blocks, kind)
    np.savez_compressed(Path(__file__).with_name("gguf_blocks.npz"), **arrays)


if __name__ == "__main__":
    main()
