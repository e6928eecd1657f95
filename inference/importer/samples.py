"""What two encoders are compared on.

Texts as requests bring them, short and long, plain and strange; pictures of coarse and fine colours, since
photographs would be too large to keep here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inference.contracts import ImageArray

GRAINS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96)
"""Edges, in fields of one random colour, that the pictures have before they are made smooth."""
EDGE = 224

SAMPLES = (
    "lighthouse",
    "How do I reset my password?",
    "A ship passes the lighthouse before dawn.",
    "Which ports can a vessel of this draught enter at low tide?",
    "Invoice 4711: 3 x 19.99 EUR = 59.97 EUR, 7 % VAT included, payable within 30 days.",
    "The quick brown fox jumps over the lazy dog.",
    "Photosynthesis turns light, water and carbon dioxide into sugar and oxygen.",
    "The committee postponed its decision on the budget until the spring session.",
    "def area(radius: float) -> float:\n    return 3.14159 * radius ** 2",
    "SELECT name, count(*) FROM visits GROUP BY name ORDER BY 2 DESC;",
    "Rain over the northern coast, clearing from the west towards the evening; winds light and variable.",
    "Mix flour, yeast, salt and water, let the dough rest overnight, then bake it very hot.",
    "The patient reports a dry cough for two weeks, no fever, and shortness of breath when climbing stairs.",
    "Great value, arrived a day early, but the manual is only in German.",
    "Terrible. It broke after two days and nobody answers the phone.",
    "Ångström, naïve café, Müllerstraße, piñata, smörgåsbord",
    "Der Zug nach Hamburg fährt heute von Gleis sieben ab.",
    "El gato duerme sobre el tejado caliente mientras cae la tarde.",
    "Смотритель маяка записывал ветер, прилив и имя каждого корабля.",
    "灯台守は夜明け前に風を記録した。",
    "Water boils at 100 degrees Celsius at sea level, and at about 70 on the highest mountain.",
    "Two neighbouring countries signed a treaty that opens the border to seasonal workers from next year on.",
    (
        "The lighthouse keeper wrote down the wind, the tide and the name of every ship that passed at "
        "dawn. His daughter copied the pages in winter, when no ship passed, and sent them to the harbour "
        "office, where they lie in a cellar to this day. Historians found in them the only record of the "
        "storm that changed the coast."
    ),
    (
        "An encoder turns a text into numbers such that texts about the same thing lie close together. It "
        "reads all tokens at once, mixes what they say layer by layer, and averages the result. Nothing in "
        "the numbers can be read by a person, and yet the angle between two of them tells more about two "
        "texts than their words do, which is why search engines, recommendations and the memories of chat "
        "bots are built on them. What is lost when the numbers are made smaller depends on the model: some "
        "hardly notice, others need every bit they have."
    ),
)


def pictures() -> Iterator[ImageArray]:
    """One of each grain, uint8 [height, width, 3], always the same."""
    import numpy as np
    from PIL import Image

    for grain in GRAINS:
        fields = np.random.default_rng(grain).integers(0, 256, (grain, grain, 3), np.uint8)
        smooth = Image.fromarray(fields).resize((EDGE, EDGE), Image.Resampling.BICUBIC)
        yield np.asarray(smooth)
