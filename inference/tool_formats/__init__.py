"""The text formats in which families of models write tool calls, one module each.

A card names its format at `parameters.tools.dialect`. To add one, write its `TOOL_FORMAT` in a module here
and add a row to `TOOL_FORMATS`; recorded answers for its tests go to `tests/tool_formats/transcripts`.
"""

from collections.abc import Mapping
from types import MappingProxyType

from inference.tool_formats import hermes, llama3, mistral, phi
from inference.tool_formats.tool_format import (
    CallReader,
    HeldCallReader,
    NewId,
    ParsedCall,
    TokenId,
    ToolFormat,
    ToolSpec,
)

__all__ = [
    "TOOL_FORMATS",
    "CallReader",
    "HeldCallReader",
    "NewId",
    "ParsedCall",
    "TokenId",
    "ToolFormat",
    "ToolSpec",
]

TOOL_FORMATS: Mapping[str, ToolFormat] = MappingProxyType(
    {
        "hermes": hermes.TOOL_FORMAT,
        "llama3": llama3.TOOL_FORMAT,
        "mistral": mistral.TOOL_FORMAT,
        "phi": phi.TOOL_FORMAT,
    }
)
