"""Names, places and words that fill slots, and made-up words that can only be copied, never remembered."""

from __future__ import annotations

import random


def listed(text: str) -> tuple[str, ...]:
    """The words or phrases of a text, which commas part where there are any."""
    return tuple(part.strip() for part in text.split("," if "," in text else None))


CITIES = listed(
    "Paris London Berlin Madrid Rome Lisbon Vienna Oslo Prague Dublin Athens Warsaw Tokyo Seattle "
    "Boston Chicago Toronto Sydney "
    "Cairo Lagos Mumbai Delhi Seoul Lima Zurich Geneva Hamburg Munich Milan Naples Porto Krakow "
    "Helsinki Stockholm Nairobi "
    "Denver Austin Miami Montreal Santiago Bogota Istanbul Dubai Bangkok Hanoi Manila Jakarta "
    "Auckland Perth Kyoto"
)
COUNTRIES = listed(
    "France Spain Italy Germany Portugal Austria Norway Sweden Greece Poland Japan Canada Mexico "
    "Brazil Peru Chile Egypt Kenya "
    "India China Korea Vietnam Turkey Ireland Finland Denmark Hungary Belgium Iceland Morocco"
)
NAMES = listed(
    "Anna Maria Peter John Lucas Emma Paul Sara David Laura Tom Nina Omar Ali Lena Max Julia Mark "
    "Eva Leo Clara Ivan Hugo Rosa "
    "Karl Ines Noah Mia Ben Zoe Felix Alice Oscar Ruth Simon Vera Jonas Carla Martin Elena Adam "
    "Tara Victor Irene"
)
TOPICS = listed(
    "football,chess,jazz,love,the moon,dinosaurs,tea,coffee,bread,bicycles,whales,gardens,"
    "volcanoes,opera,poker,gold,"
    "painting,robots,pizza,the sea,tennis,horses,guitars,democracy,rockets,cats,dogs,snow,castles,"
    "photography,sailing,honey"
)
ITEMS = listed(
    "apples,books,chairs,lamps,shirts,pens,cups,shoes,bags,tables,phones,candles,plates,bottles,"
    "hats,boxes,coats,mirrors,"
    "pillows,ropes,drums,keys,clocks,rugs,knives,spoons,tents,maps,bikes,dolls"
)
COLOURS = listed("red blue green yellow black white orange purple brown grey pink silver")
JOBS = listed(
    "teacher,doctor,baker,driver,painter,engineer,farmer,nurse,lawyer,pilot,singer,writer,cook,"
    "gardener,dentist,tailor"
)
DAYS = listed("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
LANGUAGES = listed(
    "French German Spanish Italian Portuguese Dutch Polish Greek Turkish Japanese Korean Swedish"
)
CURRENCIES = listed("USD EUR GBP JPY CHF CAD AUD SEK NOK INR")
WEATHER = listed("sunny cloudy rainy windy snowy foggy stormy clear mild humid")

ONSETS = listed("b c d f g h j k l m n p r s t v w z br cl dr fl gr pl st tr sh ch th")
NUCLEI = listed("a e i o u ai ea oo ar or en in on")


def made_up_word(rng: random.Random) -> str:
    """Two or three syllables in lower case."""
    word = "".join(rng.choice(ONSETS) + rng.choice(NUCLEI) for _ in range(rng.choice((2, 2, 3))))
    return word + rng.choice(("", "", "n", "r", "s", "l", "t", "x"))


def made_up_name(rng: random.Random) -> str:
    return made_up_word(rng).capitalize()


def code_word(rng: random.Random) -> str:
    """An identifier such as AB-1234."""
    letters = "".join(rng.choice("ABCDEFGHKLMNPRSTVXZ") for _ in range(rng.randint(1, 3)))
    return f"{letters}{rng.choice(('-', ''))}{rng.randint(10, 9999)}"
