"""The tokenizer, which must be a tokenizer.json."""

from __future__ import annotations

from inference.cards.card import CardError
from inference.importer.findings import Finding
from inference.importer.model_folder import ModelFolder
from inference.importer.refusal import ImporterError
from inference.prompt.tokenizer import Tokenizer

FILE = "tokenizer.json"


def open_tokenizer(look: ModelFolder) -> Finding[Tokenizer]:
    """Raises `ImporterError` where there is none, or one that cannot be read."""
    if not look.has(FILE):
        raise ImporterError(
            f"There is no {FILE}. Other forms of a tokenizer are not read; transformers writes this one: "
            "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)."
        )
    try:
        tokenizer = Tokenizer.open(look.folder / FILE)
    except CardError as error:
        raise ImporterError(f"{error}. Fetch {FILE} anew and add the model again.") from None
    return Finding(tokenizer, f"The tokenizer has {tokenizer.vocabulary} tokens.")
