"""Pictures as clients send them."""

from __future__ import annotations

import io
from base64 import b64encode

from PIL import Image


def png(color: str = "red", edge: int = 8) -> bytes:
    """The file of a picture of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (edge, edge), color).save(file, "PNG")
    return file.getvalue()


def data_url(color: str = "red", edge: int = 8, *, label: str = "image/png") -> str:
    return f"data:{label};base64,{b64encode(png(color, edge)).decode()}"
