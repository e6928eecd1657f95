"""Scores of texts: `/rerank`, `/classify` and `/embed_sparse` are lowered to tokens and run.

An input is one text or a pair. One that is longer than the model takes is refused, or loses tokens of its
texts: a pair's longer text first, and never those that the tokenizer puts around and between them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple, Protocol, TypeAlias

from inference.api.classify import ClassifyRequest, EmbedSparseRequest, classify_body
from inference.api.offenders import MOST_OFFENDERS, abridged, context_length_exceeded
from inference.api.rerank import RerankRequest, rerank_body
from inference.backends.loaded_models import ClassifierModel, RerankModel
from inference.contracts import SparseEmbedder, TokenizedInput
from inference.errors import Location, Offender
from inference.pipeline.request_check import RequestCheck
from inference.pipeline.text_embedding import cut_text, cut_tokens
from inference.prompt.token_ids import check_text_ids
from inference.prompt.tokenizer import Tokenizer

LocatedTexts: TypeAlias = tuple[Location, tuple[str, ...]]


class Answered(NamedTuple):
    """The body of an answer, and the tokens that it counts for."""

    body: Any
    tokens: int


class ScoringPlan(Protocol):
    """A request for scores that is lowered and could run now."""

    async def answer(self, check: RequestCheck) -> Answered:
        """Return the answer, once the request passed the content filter too."""
        ...

    def room(self) -> dict[str, Any]: ...


def annotated(body: Any, annotations: Mapping[str, Any]) -> Any:
    """Return a body with what the filter found; a bare list, as TEI answers, has no place for it."""
    return {**body, **annotations} if isinstance(body, dict) else body


@dataclass(frozen=True, slots=True)
class Fitting:
    """The bounds of inputs, and what becomes of those beyond them."""

    context: int
    cuts: bool
    """True if inputs that are too long are cut, else they are refused."""
    side: str = "END"
    """The end that they lose, as `truncate` of /embeddings names it."""
    most_of_second: int | None = None
    """The most tokens of a pair's second text."""


@dataclass(frozen=True, slots=True)
class TokenizedTexts:
    """Inputs as tokens, ready to run."""

    inputs: list[TokenizedInput]
    context: int

    @property
    def tokens(self) -> int:
        return sum(len(one.ids) for one in self.inputs)

    def room(self) -> dict[str, Any]:
        """Return, for a dry run, the tokens of each input and the context."""
        return {"prompt_tokens": [len(one.ids) for one in self.inputs], "context": self.context}


@dataclass(frozen=True, slots=True)
class RankingInputs:
    """Pairs of a query and each document, ready to score."""

    request: RerankRequest
    texts: TokenizedTexts
    model: RerankModel
    name: str

    async def answer(self, check: RequestCheck) -> Answered:
        """Return the ranking, once the request passed the content filter too."""
        scores = await check.confirmed(
            self.model.scorer.score(self.texts.inputs, raw=self.request.raw_scores)
        )
        ranking, tokens = self.request.best(scores[:, 0].tolist()), self.texts.tokens
        return Answered(rerank_body(self.request, self.name, ranking, tokens), tokens)

    def room(self) -> dict[str, Any]:
        return self.texts.room()


@dataclass(frozen=True, slots=True)
class ClassificationInputs:
    """Texts and pairs, ready to classify."""

    request: ClassifyRequest
    texts: TokenizedTexts
    model: ClassifierModel

    async def answer(self, check: RequestCheck) -> Answered:
        """Return the labels with their scores, once the request passed the content filter too."""
        scorer = self.model.scorer
        scores = await check.confirmed(scorer.score(self.texts.inputs, raw=self.request.raw_scores))
        return Answered(classify_body(self.request, scorer.labels, scores.tolist()), self.texts.tokens)

    def room(self) -> dict[str, Any]:
        return self.texts.room()


@dataclass(frozen=True, slots=True)
class SparseInputs:
    """Texts, ready to be weighed."""

    texts: TokenizedTexts
    sparse: SparseEmbedder

    async def answer(self, check: RequestCheck) -> Answered:
        """Return the weights of tokens, once the request passed the content filter too."""
        weighed = await check.confirmed(self.sparse.weigh([one.ids for one in self.texts.inputs]))
        rows = [[{"index": index, "value": value} for index, value in one.items()] for one in weighed]
        return Answered(rows, self.texts.tokens)

    def room(self) -> dict[str, Any]:
        return self.texts.room()


def lower_ranking(request: RerankRequest, name: str, model: RerankModel) -> RankingInputs:
    """Return the pairs' tokens. Raises `ParameterNotSupported` for one that is too long and not to be cut."""
    query = model.prompt + request.query
    pairs = [(loc, (query, text)) for loc, text in request.located_texts()]
    fitting = Fitting(
        model.scorer.context, request.truncate, _side(request), most_of_second=request.max_tokens_per_doc
    )
    return RankingInputs(request, tokenize_texts(pairs, model.tokenizer, fitting, name), model, name)


def lower_classification(request: ClassifyRequest, name: str, model: ClassifierModel) -> ClassificationInputs:
    """Return the texts' tokens. Raises `InvalidInput` for an empty one, `ParameterNotSupported` as above."""
    fitting = Fitting(model.scorer.context, request.truncate, _side(request))
    prompt = model.prompts.text(request.prompt_name)
    texts = tokenize_texts(request.located_inputs(), model.tokenizer, fitting, name, prompt)
    return ClassificationInputs(request, texts, model)


def lower_sparse(
    request: EmbedSparseRequest, name: str, sparse: SparseEmbedder, tokenizer: Tokenizer, prompt: str
) -> SparseInputs:
    """Return the texts' tokens. Raises `InvalidInput` for an empty one, `ParameterNotSupported` as above."""
    fitting = Fitting(sparse.context, request.truncate, _side(request))
    return SparseInputs(tokenize_texts(request.located_inputs(), tokenizer, fitting, name, prompt), sparse)


def _side(request: RerankRequest | ClassifyRequest | EmbedSparseRequest) -> str:
    return "START" if request.cuts_start else "END"


def tokenize_texts(
    inputs: Sequence[LocatedTexts], tokenizer: Tokenizer, fitting: Fitting, name: str, prompt: str = ""
) -> TokenizedTexts:
    """Return the tokens of texts and pairs, each text tokenised once; a prompt stands before the first text.

    Raises `ParameterNotSupported` for those that are too long, where they are not to be cut, and
    `InvalidInput` for a token that the model has no row for.
    """
    most = tokenizer.most_characters(fitting.context)
    if fitting.cuts:
        # No more is tokenised than the model can take.
        inputs = [(loc, tuple(cut_tokens(text, fitting.side, most) for text in one)) for loc, one in inputs]
    elif too_long := list(islice(_too_many_characters(inputs, most, fitting, name), MOST_OFFENDERS)):
        raise context_length_exceeded(too_long, context=fitting.context)
    texts = [(prompt + one[0], *one[1:]) for _, one in inputs]
    alone = list(dict.fromkeys(one[0] for one in texts if len(one) == 1))
    paired = list(dict.fromkeys(text for one in texts if len(one) == 2 for text in one))
    singles = dict(zip(alone, tokenizer.encode_batch(alone, special=True), strict=True))
    parts = dict(zip(paired, tokenizer.encode_batch(paired, special=False), strict=True))
    tokens = [
        _single(one[0], singles[one[0]], tokenizer, fitting, prompt)
        if len(one) == 1
        else _pair(parts[one[0]], parts[one[1]], tokenizer, fitting)
        for one in texts
    ]
    if too_long := list(islice(_too_long(inputs, tokens, fitting, name), MOST_OFFENDERS)):
        longest = next(len(one.ids) for one in tokens if len(one.ids) > fitting.context)
        raise context_length_exceeded(too_long, tokens=longest, context=fitting.context)
    for (loc, _), one in zip(inputs, tokens, strict=True):
        check_text_ids(one.ids, loc, tokenizer)
    return TokenizedTexts(tokens, fitting.context)


def _single(text: str, ids: list[int], tokenizer: Tokenizer, fitting: Fitting, prompt: str) -> TokenizedInput:
    if fitting.cuts and len(ids) > fitting.context:
        return TokenizedInput(
            cut_text(text.removeprefix(prompt), prompt, fitting.side, fitting.context, tokenizer)
        )
    return TokenizedInput(ids)


def _pair(first: list[int], second: list[int], tokenizer: Tokenizer, fitting: Fitting) -> TokenizedInput:
    if fitting.most_of_second is not None:
        second = cut_tokens(second, fitting.side, fitting.most_of_second)
    if not fitting.cuts:
        return tokenizer.pair_template.join(first, second)
    return tokenizer.pair_template.fitted(first, second, fitting.context, left=fitting.side == "START")


def _too_many_characters(
    inputs: Sequence[LocatedTexts], most: int, fitting: Fitting, name: str
) -> Iterator[Offender]:
    """Yield the inputs that are not tokenised, so many characters they have."""
    for loc, one in inputs:
        if (longest := max(map(len, one))) > most:
            takes = f"{name} takes {fitting.context} tokens, {most} characters"
            yield Offender(loc, abridged(one[-1]), f"the input has {longest} characters, {takes}")


def _too_long(
    inputs: Sequence[LocatedTexts], tokens: Sequence[TokenizedInput], fitting: Fitting, name: str
) -> Iterator[Offender]:
    for (loc, one), found in zip(inputs, tokens, strict=True):
        if (count := len(found.ids)) > fitting.context:
            pair = " with its query" if len(one) == 2 and loc[1] != "inputs" else ""
            message = f"the input has {count} tokens{pair}, {name} takes {fitting.context}"
            yield Offender(loc, abridged(one[-1]), message)
