"""How families of models write calls of tools, one small file each.

A card names its dialect at `parameters.tools.dialect`. To add one, write its `DIALECT` in a file here, give
it a row, and put recorded answers into `tests/dialects/transcripts`.
"""

from collections.abc import Mapping
from types import MappingProxyType

from inference.tool_formats import hermes, llama3, mistral, phi
from inference.tool_formats.tool_format import Call, Dialect, NewId, Reader, TokenId, Tool

__all__ = ["DIALECTS", "Call", "Dialect", "NewId", "Reader", "TokenId", "Tool"]

DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {
        "hermes": hermes.DIALECT,
        "llama3": llama3.DIALECT,
        "mistral": mistral.DIALECT,
        "phi": phi.DIALECT,
    }
)
