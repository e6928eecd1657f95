"""The tokenizer, which must be a tokenizer.json."""

from __future__ import annotations

from inference.cards.card import CardError
from inference.importer.findings import Found
from inference.importer.model_folder import Look
from inference.importer.refusal import IntakeError
from inference.prompt.tokenizer import Tokenizer

FILE = "tokenizer.json"


def open_tokenizer(look: Look) -> Found[Tokenizer]:
    """Raises `IntakeError` where there is none, or one that cannot be read."""
    if not look.has(FILE):
        raise IntakeError(
            f"There is no {FILE}. Other forms of a tokenizer are not read; transformers writes this one: "
            "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)."
        )
    try:
        tokenizer = Tokenizer.open(look.folder / FILE)
    except CardError as error:
        raise IntakeError(f"{error}. Fetch {FILE} anew and add the model again.") from None
    return Found(tokenizer, f"The tokenizer has {tokenizer.vocabulary} tokens.")
