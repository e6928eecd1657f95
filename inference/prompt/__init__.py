"""Messages and files become tokens and pictures: tokenizer, chat template, media, lowering."""
