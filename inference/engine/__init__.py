"""Generation of tokens for many sequences at once, over any decoder; text and HTTP belong to other rooms."""
