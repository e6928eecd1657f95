"""starter-images: a small dual encoder for pictures and captions, trained on scenes this package draws."""
