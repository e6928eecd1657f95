"""The bundled chat model: its conversations, tokenizer, training, export and evaluation."""
