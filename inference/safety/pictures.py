"""A picture as the service takes it: what the model sees, in a file it accepts.

Its limits: 4 MB, 50 x 50 to 2,048 x 2,048 pixels (newer documentation allows 7,200).
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inference.contracts import ImageArray

SMALLEST, LARGEST = 50, 2048
QUALITY = 90


def as_file(picture: ImageArray) -> bytes:
    """A JPEG file of the picture, scaled into the limits; what is too narrow stands on white."""
    from PIL import Image

    image = Image.fromarray(picture)
    width, height = image.size
    scale = min(LARGEST / max(width, height), max(SMALLEST / min(width, height), 1.0))
    if scale != 1:
        image = image.resize((max(round(width * scale), 1), max(round(height * scale), 1)))
    if min(image.size) < SMALLEST:
        white = Image.new("RGB", (max(image.width, SMALLEST), max(image.height, SMALLEST)), "white")
        white.paste(image)
        image = white
    file = BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
