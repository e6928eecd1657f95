"""The catalog: deployments of folders, broken ones, and the choice of one for a request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from inference.contracts import Route
from inference.errors import ApiError, DeploymentBroken, ModelNotReady, NoModelName, NotFound, UnknownModel
from inference.registry.catalog import Catalog
from inference.registry.folders import read_folders
from tests.support.cards import CHAT, EMBEDDINGS, IMAGES, deployment, write_card


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_card(tmp_path, CHAT)
    write_card(tmp_path, EMBEDDINGS)
    write_card(tmp_path, IMAGES, files={"text_model": "text.onnx"})
    return tmp_path


def catalog_of(*roots: Path, defaults: Sequence[str] = (), problem: str = "") -> Catalog:
    catalog = Catalog(len(roots), defaults, lambda: problem)
    for index, root in enumerate(roots):
        catalog.put(index, read_folders(root))
    return catalog


def test_every_folder_with_a_card_is_found(root: Path) -> None:
    (root / "notes").mkdir()
    assert [found.name for found in catalog_of(root).deployments] == [
        "tiny-chat",
        "tiny-embeddings",
        "tiny-images",
    ]


def test_a_root_may_be_a_deployment_itself(root: Path) -> None:
    assert [found.name for found in catalog_of(root / "tiny-chat").deployments] == ["tiny-chat"]


def test_a_missing_root_leaves_the_others_serving(root: Path) -> None:
    assert len(catalog_of(root / "missing", root).deployments) == 3


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"backend": "magic"}, "backend: 'magic' is none of"),
        ({"backend": "onnx-text-encoder"}, "onnx-text-encoder does not run chat-completions"),
        (
            {"parameters": {"modalities": {"values": ["audio"]}}},
            "modalities is declared, onnx-decoder cannot honour it",
        ),
        ({"parameters": {"tools": {"dialect": "elvish"}, "tool_choice": {}}}, "tools: dialect 'elvish'"),
    ],
)
def test_a_card_beyond_its_backend_is_broken(root: Path, changes: dict[str, Any], reason: str) -> None:
    write_card(root, CHAT, name="other", **changes)
    catalog = catalog_of(root)
    assert [(broken.name, reason in broken.reason) for broken in catalog.broken] == [("other", True)]
    assert len(catalog.deployments) == 3
    with pytest.raises(DeploymentBroken, match="The deployment other is broken"):
        catalog.get("other")


def test_a_missing_file_breaks_a_deployment(root: Path) -> None:
    (root / "tiny-images" / "text.onnx").unlink()
    assert [broken.name for broken in catalog_of(root).broken] == ["tiny-images"]


def test_a_second_deployment_of_a_name_is_broken(root: Path) -> None:
    again = root / "again"
    write_card(again, CHAT)
    catalog = catalog_of(root, again)
    assert [broken.reason for broken in catalog.broken] == [
        "model.json: name: 'tiny-chat' is taken by another folder"
    ]


@dataclass(frozen=True)
class Choice:
    """A request's names of a deployment, and the expected one."""

    route: Route
    fixed: str | None
    model: str | None
    answer: str | type[ApiError]


@pytest.mark.parametrize(
    "choice",
    [
        Choice(Route.CHAT, None, None, "tiny-chat"),
        Choice(Route.CHAT, None, "gpt-4o", UnknownModel),
        Choice(Route.CHAT, "TINY-chat", None, "tiny-chat"),
        Choice(Route.CHAT, "gpt-4o", None, UnknownModel),
        Choice(Route.CHAT, "tiny-embeddings", None, NotFound),
        Choice(Route.CHAT, None, "tiny-embeddings", NotFound),
        Choice(Route.COMPLETIONS, None, None, "tiny-chat"),
        Choice(Route.EMBEDDINGS, None, None, "tiny-embeddings"),
        Choice(Route.EMBEDDINGS, None, "tiny-images", "tiny-images"),
        Choice(Route.IMAGE_EMBEDDINGS, None, "text-embedding-3", UnknownModel),
        Choice(Route.CHAT, "tiny-chat", "gpt-4o", "tiny-chat"),
        Choice(Route.INFO, None, None, "tiny-chat"),
        Choice(Route.INFO, None, "tiny-images", "tiny-images"),
        Choice(Route.INFO, "tiny-embeddings", None, "tiny-embeddings"),
    ],
)
def test_a_request_is_served_by_the_named_or_only_deployment(root: Path, choice: Choice) -> None:
    catalog = catalog_of(root)
    if isinstance(choice.answer, str):
        assert catalog.choose(choice.route, fixed=choice.fixed, model=choice.model).name == choice.answer
    else:
        with pytest.raises(choice.answer):
            catalog.choose(choice.route, fixed=choice.fixed, model=choice.model)


def test_several_candidates_need_a_name_or_a_default(root: Path) -> None:
    write_card(root, CHAT, name="other")
    with pytest.raises(NoModelName, match="other, tiny-chat"):
        catalog_of(root).choose(Route.CHAT, fixed=None, model=None)
    with pytest.raises(UnknownModel, match="Unknown model: gpt-4o"):
        catalog_of(root).choose(Route.CHAT, fixed=None, model="gpt-4o")
    chosen = catalog_of(root, defaults=("tiny-embeddings", "other")).choose(
        Route.CHAT, fixed=None, model=None
    )
    assert chosen.name == "other"


def test_a_route_without_a_deployment_is_refused_with_the_broken_ones(tmp_path: Path) -> None:
    write_card(tmp_path, CHAT, backend="magic")
    with pytest.raises(NotFound, match=r"no deployment serves embeddings \(broken: tiny-chat\)"):
        catalog_of(tmp_path).choose(Route.EMBEDDINGS, fixed=None, model=None)


def test_of_two_locations_the_earlier_has_the_name_whenever_it_is_listed(tmp_path: Path) -> None:
    earlier, later = (deployment(tmp_path / name, CHAT) for name in ("earlier", "later"))
    catalog = Catalog(2, (), lambda: "")
    catalog.put(1, [later])
    assert catalog.get("tiny-chat") is later
    catalog.put(0, [earlier])
    assert catalog.get("tiny-chat") is earlier
    assert [broken.name for broken in catalog.broken] == [str(later.folder)]


def test_a_location_listed_again_replaces_its_deployments(tmp_path: Path) -> None:
    old, new = deployment(tmp_path, CHAT, name="old"), deployment(tmp_path, CHAT, name="new")
    catalog = Catalog(1, (), lambda: "")
    catalog.put(0, [old])
    catalog.put(0, [new])
    assert catalog.deployments == [new]
    with pytest.raises(UnknownModel, match="Unknown model: old"):
        catalog.get("old")


def test_a_hidden_folder_is_not_a_deployment(tmp_path: Path) -> None:
    write_card(tmp_path, CHAT, name=".unfinished")
    assert read_folders(tmp_path) == []


def test_an_unknown_name_is_not_ready_while_a_container_is_not_listed(root: Path) -> None:
    catalog = catalog_of(root, problem="the container is being listed")
    assert catalog.get("tiny-chat").name == "tiny-chat"
    with pytest.raises(ModelNotReady) as refused:
        catalog.get("other")
    assert refused.value.message == "The deployment other is not known yet: the container is being listed."
    with pytest.raises(ModelNotReady):
        catalog.choose(Route.CHAT, fixed=None, model="other")


def test_a_route_without_a_deployment_is_not_ready_while_a_container_is_not_listed() -> None:
    with pytest.raises(ModelNotReady) as refused:
        catalog_of(problem="the container is being listed").choose(Route.CHAT, fixed=None, model=None)
    message = "No deployment that serves chat/completions is known yet: the container is being listed."
    assert refused.value.message == message


def test_the_log_names_a_missing_root(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert read_folders(tmp_path / "missing") == []
    assert f"INFERENCE_MODELS names {tmp_path / 'missing'}, which is not a folder" in caplog.text


def test_an_unknown_name_is_refused_with_the_deployments_there_are_and_its_place(root: Path) -> None:
    catalog = catalog_of(root)
    for route, names, place in (
        (Route.CHAT, "deployments of chat/completions are: tiny-chat", ("body", "model")),
        (Route.EMBEDDINGS, "deployments of embeddings are: tiny-embeddings, tiny-images", ("body", "model")),
        (Route.INFO, "deployments are: tiny-chat, tiny-embeddings, tiny-images", ("query", "model")),
    ):
        with pytest.raises(UnknownModel) as refused:
            catalog.choose(route, fixed=None, model="gpt-4o")
        assert refused.value.message == f"Unknown model: gpt-4o. The {names}."
        assert [(one.loc, one.input) for one in refused.value.offenders] == [(place, "gpt-4o")]
    with pytest.raises(UnknownModel) as fixed:
        catalog.choose(Route.CHAT, fixed="gpt-4o", model=None)
    assert fixed.value.offenders == ()


def test_a_long_list_of_deployments_is_cut(tmp_path: Path) -> None:
    for number in range(22):
        write_card(tmp_path, CHAT, name=f"chat-{number:02}")
    with pytest.raises(UnknownModel) as refused:
        catalog_of(tmp_path).choose(Route.CHAT, fixed=None, model="gpt-4o")
    assert refused.value.message.endswith("chat-18, chat-19, and 2 more.")
