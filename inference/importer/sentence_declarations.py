"""What the files of sentence-transformers declare and an encoder does not follow: said once, or refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from inference.backends.model_files import MODULES_FILE
from inference.cards.json_files import Json, inner_object, read_json
from inference.importer.declarations import NOTHING, differing, listed, report_unknown, shown
from inference.importer.findings import ImporterError, Report
from inference.importer.model_folder import ModelFolder

QUIET_SENTENCE = frozenset(
    {
        *("max_seq_length", "do_lower_case", "tokenizer_args", "processor_kwargs", "unpad_inputs", "backend"),
        *("module_output_name", "transformer_task", "modality_config", "processing_kwargs"),
        *("query_expansion", "query_length", "document_length", "tokenizer_name_or_path"),
        *("model_args", "model_kwargs", "config_args", "config_kwargs"),
    }
)
SENTENCE_TRANSFORMERS = "config_sentence_transformers.json"
QUIET_SENTENCE_TRANSFORMERS = frozenset(
    {
        *("__version__", "prompts", "default_prompt_name", "similarity_fn_name", "truncate_dim"),
        *("model_type", "matryoshka_dims", "matryoshka_dimensions", "activation_fn"),
    }
)
HARMLESS_PROCESSING = frozenset({"padding", "truncation", "return_tensors", "max_length"})
OWN_STEPS = "sentence_transformers."
OTHER_TYPES: Mapping[str, str] = {
    "SparseEncoder": "a sparse encoder, whose vectors have a number for each token of the vocabulary",
    "MultiVectorEncoder": "a multi-vector encoder, which has a vector for each token",
}


@dataclass(frozen=True, slots=True)
class SentenceKind:
    """A kind of models of sentence-transformers: what it answers, and the task that its files name."""

    answers: str
    task: str
    unserved: str
    """What is said of prompts that are not in use, with a place for their names."""


VECTORS = SentenceKind(
    "vectors",
    "feature-extraction",
    "no input_type stands for: {}. Put one of them into embedding.prompts of model.json, or before the "
    "inputs",
)
SCORES = SentenceKind(
    "scores",
    "sequence-classification",
    "no request can name: {}. Set default_prompt in model.json to put one of named_prompts before every "
    "query",
)
WEIGHTS = SentenceKind("weights of tokens", "fill-mask", "no request can name: {}")


def report_sentence_files(
    folder: ModelFolder, served: frozenset[str], report: Report, kind: SentenceKind = VECTORS
) -> None:
    """Report what sentence-transformers' files ask for; `served` are the texts of the prompts in use.

    Raises `ImporterError` for declarations without which every vector would be another.
    """
    if foreign := sorted({kind for kind in _step_types(folder) if not kind.startswith(OWN_STEPS)}):
        report(
            f"{MODULES_FILE} has steps that are code of their own ({listed(foreign)}): it is never executed, "
            "and they are taken for the steps of the same name."
        )
    for path in sorted(folder.path.glob("sentence_*_config.json")):
        for sentence in _sentence_config(path.name, folder.json(path.name), kind):
            report(sentence)
        report_unknown(path.name, folder.json(path.name), QUIET_SENTENCE, report)
    for sentence in _model_config(folder.json(SENTENCE_TRANSFORMERS), served, kind):
        report(sentence)
    report_unknown(
        SENTENCE_TRANSFORMERS, folder.json(SENTENCE_TRANSFORMERS), QUIET_SENTENCE_TRANSFORMERS, report
    )


def _step_types(folder: ModelFolder) -> Iterator[str]:
    """Yield the dotted types of the steps of modules.json, which was read before."""
    steps = read_json(folder.path / MODULES_FILE) or []
    yield from (str(step["type"]) for step in steps)


def _sentence_config(file: str, config: Json, kind: SentenceKind) -> Iterator[str]:
    _require_plain_inputs(file, config, kind)
    if config.get("do_lower_case") is True:
        yield f"Texts are put in lower case before they are tokenised ({file})."
    if kinds := sorted(inner_object(config, "modality_config").keys() - {"text"}):
        yield f"{file} has inputs of the kinds {listed(kinds)} besides text: they are not served."
    if lengths := differing(config, dict.fromkeys(("query_length", "document_length"))):
        yield f"{file} has {shown(lengths)}, at which inputs are not cut: the limit is the context."
    if name := config.get("tokenizer_name_or_path"):
        yield f"{file} names the tokenizer {name}: that of this folder is used, see that it is the same."


def _require_plain_inputs(file: str, config: Json, model: SentenceKind) -> None:
    """Raise `ImporterError` where inputs are more than the tokens of a text."""
    task = config.get("transformer_task", model.task)
    if task != model.task:
        raise ImporterError(f"{file}: transformer_task is {task}, and {model.answers} need {model.task}.")
    processing = inner_object(config, "processing_kwargs")
    for kind in ("common", "text", "chat_template"):
        if others := sorted(inner_object(processing, kind).keys() - HARMLESS_PROCESSING):
            raise ImporterError(
                f"{file}: processing_kwargs.{kind} has {listed(others)}, which changes the tokens of every "
                "input and is not supported. Remove the keys if the model was trained without them."
            )
    if config.get("query_expansion") not in NOTHING:
        raise ImporterError(f"{file}: query_expansion adds tokens to every query, and is not supported.")


def _model_config(config: Json, served: frozenset[str], kind: SentenceKind) -> Iterator[str]:
    if kind is VECTORS:
        yield from _vector_config(config)
    prompts = inner_object(config, "prompts")
    if others := sorted(name for name, text in prompts.items() if text and text not in served):
        yield f"{SENTENCE_TRANSFORMERS} has prompts that {kind.unserved.format(listed(others))}."


def _vector_config(config: Json) -> Iterator[str]:
    if (other := str(config.get("model_type"))) in OTHER_TYPES:
        raise ImporterError(
            f"{SENTENCE_TRANSFORMERS}: the model is {OTHER_TYPES[other]}. /embeddings has one dense vector "
            "an input, so such a model is not served."
        )
    similarity = config.get("similarity_fn_name")
    if similarity not in (None, "cosine"):
        yield f"Vectors are made to be compared by {similarity}, not by cosine ({SENTENCE_TRANSFORMERS})."
    if size := config.get("truncate_dim"):
        yield f"Vectors are cut to their first {size} numbers ({SENTENCE_TRANSFORMERS}'s truncate_dim)."
