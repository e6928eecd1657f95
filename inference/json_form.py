"""How JSON is written where an answer is held to a schema."""

from __future__ import annotations

from collections.abc import Mapping

JSON_FORM: Mapping[str, str | bool] = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    "coerce_one_of": False,
    "lenient": False,
    "json_allowed_escapes": 'nrbtf\\"',
    "json_allow_general_unicode_escapes": False,
}
"""What models write by themselves and tokenizers cut well, like `json.dumps`: `{"a": 1, "b": [2]}`.

Nothing is left to choose between, so all of it can be fed at once. No `\\u` escapes: in a name they could
spell once more a property that is already there, and readers would see the later value, which nothing held to
the property's schema. The keys are llguidance's, under `x-guidance` in a schema."""
