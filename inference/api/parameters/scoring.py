"""The parameters of the routes that score texts: `/rerank`, `/classify` and `/embed_sparse`.

None of the three is in the API: they are spoken as Cohere, Jina and text-embeddings-inference (TEI) speak
them, so every key that a client of theirs sends without being told to is part of the route.
"""

from inference.api.parameters.parameter import SCORING, Parameter, ParameterPlace, ValueKind
from inference.contracts import Route

RERANK = frozenset({Route.RERANK})
INPUTS = frozenset({Route.CLASSIFY, Route.EMBED_SPARSE})
SCORES = frozenset({Route.RERANK, Route.CLASSIFY})
ENVELOPE = ParameterPlace.ENVELOPE

SCORING_ROWS: tuple[Parameter, ...] = (
    Parameter(
        "query",
        RERANK,
        ValueKind.STRING,
        "The text that the documents are compared with.",
        ENVELOPE,
        max_values=None,
        max_characters=None,
    ),
    Parameter(
        "documents",
        RERANK,
        ValueKind.ARRAY,
        "The documents to rank: texts, or objects with a `text` beside which other keys may stand.",
        ENVELOPE,
        max_values=None,
        max_characters=None,
    ),
    Parameter(
        "texts",
        RERANK,
        ValueKind.ARRAY,
        "The documents as TEI names them: the answer then is TEI's too, a bare list of `index` and `score`.",
        ENVELOPE,
        max_values=None,
        max_characters=None,
    ),
    Parameter(
        "top_n",
        RERANK,
        ValueKind.INTEGER,
        "How many of the most relevant documents are returned; 0, as absent, for all.",
        ENVELOPE,
        minimum=0,
        maximum=2**31 - 1,
        neutral=(0,),
    ),
    Parameter(
        "return_documents",
        RERANK,
        ValueKind.BOOLEAN,
        "Return each document beside its score.",
        ENVELOPE,
        default=False,
        neutral=(False,),
    ),
    Parameter(
        "return_text",
        RERANK,
        ValueKind.BOOLEAN,
        "TEI's name of `return_documents`.",
        ENVELOPE,
        default=False,
        neutral=(False,),
    ),
    Parameter(
        "max_tokens_per_doc",
        RERANK,
        ValueKind.INTEGER,
        "The most tokens of a document that are read, the rest is cut off; absent: what the context leaves.",
        ENVELOPE,
        minimum=1,
        maximum=2**31 - 1,
    ),
    Parameter(
        "max_chunks_per_doc",
        RERANK,
        ValueKind.INTEGER,
        "Into how many pieces a long document may be split, of which the best counts.",
        ParameterPlace.EXTRA,
        minimum=1,
        maximum=2**31 - 1,
        neutral=(1,),
    ),
    Parameter(
        "rank_fields",
        RERANK,
        ValueKind.ARRAY,
        "The keys of the documents' objects that are read, `text` where absent.",
        ParameterPlace.EXTRA,
        neutral=((), ("text",)),
    ),
    Parameter(
        "inputs",
        INPUTS,
        ValueKind.ARRAY,
        "A text or several; on /classify a text may be two that belong together, in an array of their own.",
        ENVELOPE,
        max_values=None,
        max_characters=None,
    ),
    Parameter(
        "raw_scores",
        SCORES,
        ValueKind.BOOLEAN,
        "Return the model's own numbers, before its sigmoid or softmax.",
        ENVELOPE,
        default=False,
        neutral=(False,),
    ),
    Parameter(
        "truncate",
        SCORING,
        ValueKind.BOOLEAN,
        "Whether an input that is too long is cut, or refused.",
        ENVELOPE,
        default=False,
        neutral=(False,),
        defaults_by_route={Route.RERANK: True},
    ),
    Parameter(
        "truncation_direction",
        SCORING,
        ValueKind.STRING,
        "Which end an input that is too long loses.",
        ENVELOPE,
        values=("Right", "Left", "right", "left"),
        default="Right",
        neutral=("Right", "right"),
    ),
    Parameter(
        "prompt_name",
        INPUTS,
        ValueKind.STRING,
        "The name of the model's prompt that is put before a text.",
        ParameterPlace.EXTRA,
    ),
)
