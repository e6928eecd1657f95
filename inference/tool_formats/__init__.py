"""How families of models write calls of tools, one small file each.

A card names its dialect at `parameters.tools.dialect`. To add one, write its `DIALECT` in a file here, give
it a row, and put recorded answers into `tests/dialects/transcripts`.
"""

from collections.abc import Mapping
from types import MappingProxyType

from inference.tool_formats import hermes, llama3, mistral, phi
from inference.tool_formats.tool_format import CallReader, NewId, ParsedCall, TokenId, ToolFormat, ToolSpec

__all__ = ["TOOL_FORMATS", "CallReader", "NewId", "ParsedCall", "TokenId", "ToolFormat", "ToolSpec"]

TOOL_FORMATS: Mapping[str, ToolFormat] = MappingProxyType(
    {
        "hermes": hermes.TOOL_FORMAT,
        "llama3": llama3.TOOL_FORMAT,
        "mistral": mistral.TOOL_FORMAT,
        "phi": phi.TOOL_FORMAT,
    }
)
