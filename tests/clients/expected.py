"""Texts and values that the deployments answer with; standard library only, for the scripts import it."""

GREETING = "Hello, world! é bye"
GREETING_TOKENS = 10
"""With the token that ends it."""
CITY = {"city": "Paris"}
"""Arguments of every scripted tool call."""
RAIN = "Rain in Paris."
"""Result of the tool `get_weather` for them."""
SENTENCE = "It rains in Paris."
"""Answer of `assistant` after a tool's result."""
REPORT = {"city": "Paris", "sky": "rain", "degrees": 12}
"""Answer of `former`, and of `agent` after a tool's result."""
DIMENSIONS = 16
SHORTER = 8
"""Sizes of the embeddings of `tiny-embed`."""
REASONING = "Let me think about Paris."
"""What `thinking-assistant` and `thinking-agent` think before they call a tool."""
