"""What a model's files declare of its tokenizer beside `tokenizer.json`, and the tokenizer completed by it.

transformers and sentence-transformers change a tokenizer by tokenizer_config.json, special_tokens_map.json
and sentence_bert_config.json after they have read it. Other tokens give other answers, so the same is done
here.
"""

from __future__ import annotations

import codecs
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference.cards.card import CardError, Deployment
from inference.cards.json_files import Json, inner_object, read_object, read_role
from inference.prompt.token_renumbering import declared_ids, renumbered

if TYPE_CHECKING:
    import tokenizers

CONFIG, TOKENS_MAP = "tokenizer_config", "special_tokens_map"
SENTENCE_CONFIGS = "sentence_*_config.json"
ARGUMENTS = ("tokenizer_args", "processor_kwargs")
"""Keys of sentence_bert_config.json whose values come before those of tokenizer_config.json."""
TOKEN_LISTS = ("additional_special_tokens", "extra_special_tokens")
FLAGS = ("lstrip", "rstrip", "single_word", "normalized", "special")
BERT_FLAGS: Mapping[str, str] = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}
"""Keys of tokenizer_config.json to the options of a BertNormalizer; other normalizers do not follow them."""


@dataclass(frozen=True, slots=True)
class TokenizerFiles:
    """The declarations of one model's files about its tokenizer."""

    config: Json
    """tokenizer_config.json, with the keys of special_tokens_map.json that it lacks."""
    lowers: bool = False
    """True if sentence_bert_config.json has texts in lower case, whatever the tokenizer does."""

    @classmethod
    def beside(cls, path: Path) -> TokenizerFiles:
        """Read the files in the folder of a `tokenizer.json`. Raises `CardError`."""
        folder = path.parent
        return cls._of(folder, read_object(folder / f"{CONFIG}.json"), folder / f"{TOKENS_MAP}.json")

    @classmethod
    def of(cls, deployment: Deployment) -> TokenizerFiles:
        """Read the files of a deployment, by the names that its card has for them. Raises `CardError`."""
        tokens = deployment.optional_file(TOKENS_MAP, f"{TOKENS_MAP}.json")
        return cls._of(deployment.folder, read_role(deployment, CONFIG), tokens)

    @classmethod
    def _of(cls, folder: Path, config: Json, tokens: Path | None) -> TokenizerFiles:
        sentence: dict[str, Any] = {}
        for path in sorted(folder.glob(SENTENCE_CONFIGS)):
            sentence |= read_object(path)
        arguments = {key: value for name in ARGUMENTS for key, value in inner_object(sentence, name).items()}
        named = read_object(tokens) if tokens is not None else {}
        declared = {**named, **config, **arguments}
        if "added_tokens_decoder" not in declared:
            declared["added_tokens_decoder"] = _older_added_tokens(folder, declared)
        return cls(declared, sentence.get("do_lower_case") is True)


def _older_added_tokens(folder: Path, config: Json) -> Mapping[str, Json]:
    """Return the tokens of added_tokens.json, a file of older models, as tokenizer_config.json has them."""
    special = {_content(entry) for entry in _named(config)}
    return {
        str(token_id): {"content": text, "special": text in special, "normalized": text not in special}
        for text, token_id in read_object(folder / "added_tokens.json").items()
    }


def open_library(path: Path, files: TokenizerFiles) -> tokenizers.Tokenizer:
    """Return the tokenizer of a `tokenizer.json`, completed by the other files.

    It has no padding and no truncation, whatever the file says. Raises `CardError` naming the file that
    cannot be read, and for declarations that cannot be followed.
    """
    # Unset, the library turns serial and warns once something in this process forks in order to exec.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    try:
        library = _completed(path.read_bytes().removeprefix(codecs.BOM_UTF8), files)
    except (CardError, KeyboardInterrupt, SystemExit):
        raise
    except OSError as error:
        raise CardError(f"{path.name} cannot be read: {error.strerror}") from None
    except BaseException as error:  # noqa: BLE001  the library raises bare Exception, and panics
        raise CardError(f"{path.name} is not a tokenizer: {error}") from None
    library.no_padding()
    library.no_truncation()
    return library


def _completed(data: bytes, files: TokenizerFiles) -> tokenizers.Tokenizer:
    import tokenizers

    library = tokenizers.Tokenizer.from_buffer(data)
    added = dict(_added_tokens(files.config))
    if moves := _moves(library, data, added):
        library = tokenizers.Tokenizer.from_str(renumbered(data, moves))
    tokens = [added[token_id] for token_id in sorted(added)]
    _add_tokens(library, [*tokens, *_named_tokens(library, files.config, tokens)])
    _set_normalizer(library, files)
    _set_prefix_space(library, files.config)
    _set_ends(library, files.config)
    if files.config.get("split_special_tokens") is True:
        library.encode_special_tokens = True
    return library


def _added_tokens(config: Json) -> Iterator[tuple[int, tokenizers.AddedToken]]:
    """Yield the entries of `added_tokens_decoder` by id. Raises `CardError` for one that is no token."""
    for token_id, entry in inner_object(config, "added_tokens_decoder").items():
        if not (
            token_id.isdecimal() and isinstance(entry, Mapping) and isinstance(entry.get("content"), str)
        ):
            raise CardError(
                f"{CONFIG}.json: added_tokens_decoder has {token_id!r}: {entry!r}; each of its keys must be "
                "a token id and each value an object with the token's content"
            )
        yield int(token_id), _token(entry, special=False)


def _token(entry: Mapping[str, Any], *, special: bool) -> tokenizers.AddedToken:
    import tokenizers

    flags = {name: entry[name] for name in FLAGS if isinstance(entry.get(name), bool)}
    return tokenizers.AddedToken(entry["content"], **{"special": special, **flags})


def _moves(
    library: tokenizers.Tokenizer, data: bytes, added: Mapping[int, tokenizers.AddedToken]
) -> dict[str, int]:
    """Return the declared ids of the tokens to which the library gives others: it counts without gaps."""
    stated = declared_ids(data)
    free = {one.content: n for n, one in added.items() if library.token_to_id(one.content) is None}
    moves = {text: n for text, n in {**free, **stated}.items() if library.token_to_id(text) != n}
    if moves.keys() <= free.keys() and _continues(library, moves.values()):
        return {}
    taken = {library.id_to_token(n) for n in moves.values()} - {None} - stated.keys()
    return {} if taken else moves


def _continues(library: tokenizers.Tokenizer, ids: Any) -> bool:
    """Return True if the ids follow on the last one of the library, which then gives them by itself."""
    size = library.get_vocab_size(with_added_tokens=True)
    return sorted(ids) == list(range(size, size + len(ids))) and library.id_to_token(size) is None


def _named_tokens(
    library: tokenizers.Tokenizer, config: Json, others: list[tokenizers.AddedToken]
) -> Iterator[tokenizers.AddedToken]:
    """Yield the special tokens, such as `pad_token`, that are not yet among the added ones."""
    known = {token.content for token in library.get_added_tokens_decoder().values()}
    known |= {token.content for token in others}
    for entry in _named(config):
        if (text := _content(entry)) and text not in known:
            known.add(text)
            flags = entry if isinstance(entry, Mapping) else {}
            yield _token({**flags, "content": text, "special": True}, special=True)


def _content(entry: object) -> str | None:
    """Return the text of a token: itself, or under `content`."""
    text = entry.get("content") if isinstance(entry, Mapping) else entry
    return text if isinstance(text, str) else None


def _named(config: Json) -> Iterator[object]:
    """Yield the special tokens that the files name."""
    yield from (config[name] for name in config if name.endswith("_token"))
    for name in TOKEN_LISTS:
        listed = config.get(name)
        yield from (
            listed.values() if isinstance(listed, Mapping) else listed if isinstance(listed, list) else ()
        )


def _add_tokens(library: tokenizers.Tokenizer, tokens: list[tokenizers.AddedToken]) -> None:
    """Add tokens in their sequence; those that are there take the flags."""
    if wanted := [token for token in tokens if token.content]:
        library.add_tokens(wanted)


def _set_normalizer(library: tokenizers.Tokenizer, files: TokenizerFiles) -> None:
    """Set what the files declare of cases and accents."""
    from tokenizers import normalizers

    normalizer = library.normalizer
    options = {BERT_FLAGS[key]: files.config[key] for key in BERT_FLAGS if key in files.config}
    if options and isinstance(normalizer, normalizers.BertNormalizer):
        state = json.loads(normalizer.__getstate__())
        state.pop("type")
        library.normalizer = normalizers.BertNormalizer(**{**state, **options})
    if files.lowers:
        following = [] if library.normalizer is None else [library.normalizer]
        library.normalizer = normalizers.Sequence([normalizers.Lowercase(), *following])


def _set_prefix_space(library: tokenizers.Tokenizer, config: Json) -> None:
    """Set whether a text starts with a space, for the tokenizers of GPT-2's and RoBERTa's kind."""
    from tokenizers import pre_tokenizers

    step, wanted = library.pre_tokenizer, config.get("add_prefix_space")
    if isinstance(wanted, bool) and isinstance(step, pre_tokenizers.ByteLevel):
        state = json.loads(step.__getstate__())
        library.pre_tokenizer = pre_tokenizers.ByteLevel(
            add_prefix_space=wanted, use_regex=state.get("use_regex", True)
        )


def _set_ends(library: tokenizers.Tokenizer, config: Json) -> None:
    """Put the declared first and last token around a text, where tokenizer.json does not do so.

    Those that it puts there stay, whatever the config says, as in transformers 5.
    """
    from tokenizers import processors

    before, after = _around(library)
    first = _end(library, config, "bos", before)
    last = _end(library, config, "eos", after)
    if (first, last) == (before, after):
        return
    single = [*_pieces(first, 0), "$A:0", *_pieces(last, 0)]
    names = {token: library.id_to_token(token) for token in (*first, *last)}
    library.post_processor = processors.TemplateProcessing(
        single=single,
        pair=[*single, *_pieces(first, 1), "$B:1", *_pieces(last, 1)],
        special_tokens=[{"id": str(n), "ids": [n], "tokens": [name]} for n, name in names.items()],
    )


def _pieces(tokens: list[int], kind: int) -> list[str]:
    """Return tokens as parts of a template, named by their ids: a name may have no colon."""
    return [f"{token}:{kind}" for token in tokens]


def _around(library: tokenizers.Tokenizer) -> tuple[list[int], list[int]]:
    """Return the ids that are put before and after a text: those around an empty one, cut where it stood."""
    processor = library.post_processor
    if processor is None:
        return [], []
    import tokenizers

    bare = tokenizers.Tokenizer(tokenizers.models.BPE(vocab={"x": 0}, merges=[]))
    inner = bare.encode("x")
    ids, kinds = (found := processor.process(inner, None, True)).ids, found.special_tokens_mask
    start = next((index for index, special in enumerate(kinds) if not special), len(ids))
    return ids[:start], ids[start + 1 :]


def _end(library: tokenizers.Tokenizer, config: Json, kind: str, present: list[int]) -> list[int]:
    """Return the ids at one end of a text, with that of `add_bos_token` or `add_eos_token`."""
    text = _content(config.get(f"{kind}_token"))
    token = library.token_to_id(text) if text is not None else None
    if config.get(f"add_{kind}_token") is not True or token is None or token in present:
        return present
    return [token, *present] if kind == "bos" else [*present, token]
