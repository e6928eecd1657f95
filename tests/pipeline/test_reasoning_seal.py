"""Sealed reasoning is opened by who has the key, and by nobody else."""

from inference.pipeline.reasoning_seal import ReasoningSeal


def test_a_seal_is_opened_with_its_key() -> None:
    sealed = ReasoningSeal("key").seal("Two and two. é")
    assert ReasoningSeal("key").open(sealed) == "Two and two. é"


def test_without_a_key_a_process_opens_its_own() -> None:
    seal = ReasoningSeal()
    assert seal.open(seal.seal("So.")) == "So."
    assert ReasoningSeal().open(seal.seal("So.")) == ""


def test_what_is_no_seal_is_nothing() -> None:
    seal = ReasoningSeal("key")
    changed = seal.seal("So.")[:-6] + "AAAAA="
    for text in ("", "x", "é", "gAAAAA==", changed, ReasoningSeal("other").seal("So.")):
        assert seal.open(text) == ""


def test_a_long_text_is_small() -> None:
    assert len(ReasoningSeal("key").seal("So. " * 10_000)) < 1_000
