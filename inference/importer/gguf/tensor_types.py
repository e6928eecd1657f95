"""The types of a GGUF file's tensors: their numbers and sizes, and those that are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TensorType:
    """A type of tensors: its name, the weights of a block, and the bytes of a block."""

    name: str
    block: int
    size: int

    def __str__(self) -> str:
        return self.name


F32 = TensorType("F32", 1, 4)
F16 = TensorType("F16", 1, 2)
BF16 = TensorType("BF16", 1, 2)
Q4_0 = TensorType("Q4_0", 32, 18)
Q4_1 = TensorType("Q4_1", 32, 20)
Q5_0 = TensorType("Q5_0", 32, 22)
Q5_1 = TensorType("Q5_1", 32, 24)
Q8_0 = TensorType("Q8_0", 32, 34)
Q2_K = TensorType("Q2_K", 256, 84)
Q3_K = TensorType("Q3_K", 256, 110)
Q4_K = TensorType("Q4_K", 256, 144)
Q5_K = TensorType("Q5_K", 256, 176)
Q6_K = TensorType("Q6_K", 256, 210)
IQ4_NL = TensorType("IQ4_NL", 32, 18)
IQ4_XS = TensorType("IQ4_XS", 256, 136)

TYPES: Mapping[int, TensorType] = {
    0: F32,
    1: F16,
    2: Q4_0,
    3: Q4_1,
    6: Q5_0,
    7: Q5_1,
    8: Q8_0,
    10: Q2_K,
    11: Q3_K,
    12: Q4_K,
    13: Q5_K,
    14: Q6_K,
    20: IQ4_NL,
    23: IQ4_XS,
    30: BF16,
}
"""Types that are read, by their number in a file."""

UNREAD: Mapping[int, str] = {
    4: "Q4_2",
    5: "Q4_3",
    9: "Q8_1",
    15: "Q8_K",
    16: "IQ2_XXS",
    17: "IQ2_XS",
    18: "IQ3_XXS",
    19: "IQ1_S",
    21: "IQ3_S",
    22: "IQ2_S",
    24: "I8",
    25: "I16",
    26: "I32",
    27: "I64",
    28: "F64",
    29: "IQ1_M",
    31: "Q4_0_4_4",
    32: "Q4_0_4_8",
    33: "Q4_0_8_8",
    34: "TQ1_0",
    35: "TQ2_0",
    36: "IQ4_NL_4_4",
    37: "IQ4_NL_4_8",
    38: "IQ4_NL_8_8",
    39: "MXFP4",
    40: "NVFP4",
    41: "Q1_0",
}
"""Names of the types that are not read, for the sentence that refuses them."""
