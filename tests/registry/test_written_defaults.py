"""`defaults.json`: read, written, and the deployments that it makes the default."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inference.contracts import Route
from inference.errors import DeploymentBroken, NoModelName
from inference.registry.catalog import Catalog
from inference.registry.folders import read_folders
from inference.registry.names import DEFAULTS_FILE, read_defaults, write_defaults
from tests.support.cards import CHAT, EMBEDDINGS, IMAGES, write_card


def catalog_of(root: Path, *defaults: str) -> Catalog:
    catalog = Catalog(1, defaults, lambda: "")
    catalog.put(0, read_folders(root), read_defaults(root))
    return catalog


def unnamed(root: Path, route: Route, *defaults: str) -> str:
    return catalog_of(root, *defaults).choose(route, fixed=None, model=None).name


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("a-chat", "b-chat", "c-chat"):
        write_card(tmp_path, CHAT, name=name)
    return tmp_path


def test_what_is_written_is_read_and_keeps_other_routes(tmp_path: Path) -> None:
    assert read_defaults(tmp_path) == {}
    path = write_defaults(tmp_path, {Route.CHAT: "a", Route.COMPLETIONS: "b"})
    write_defaults(tmp_path, {Route.CHAT: "c"})
    assert path == tmp_path / "defaults.json"
    assert json.loads(path.read_bytes()) == {"chat/completions": "c", "completions": "b"}
    assert read_defaults(tmp_path) == {Route.CHAT: "c", Route.COMPLETIONS: "b"}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "cannot be read and is ignored"),
        ("[]", "expected an object of routes and names"),
        ('{"chat/completions": 5}', "expected an object of routes and names"),
        ('{"info": "a"}', "info is no route; the routes are chat/completions, completions,"),
    ],
)
def test_a_file_that_is_not_valid_is_ignored_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str, reason: str
) -> None:
    (tmp_path / DEFAULTS_FILE).write_text(text)
    assert read_defaults(tmp_path) == {}
    assert reason in caplog.text


def test_a_written_default_answers_its_routes_and_the_settings_go_before_it(root: Path) -> None:
    write_defaults(root, {Route.CHAT: "B-CHAT"})
    assert unnamed(root, Route.CHAT) == "b-chat"
    assert unnamed(root, Route.INFO) == "b-chat"
    assert unnamed(root, Route.CHAT, "c-chat") == "c-chat"
    with pytest.raises(NoModelName, match="set `model` to one of a-chat, b-chat, c-chat"):
        unnamed(root, Route.COMPLETIONS)


def test_a_written_default_that_is_not_there_leaves_the_route_without_one(root: Path) -> None:
    write_defaults(root, {Route.CHAT: "removed"})
    with pytest.raises(NoModelName):
        unnamed(root, Route.CHAT)


def test_a_written_default_that_is_broken_is_not_replaced_by_another(root: Path) -> None:
    write_defaults(root, {Route.CHAT: "bad"})
    write_card(root, CHAT, name="bad", backend="magic")
    with pytest.raises(DeploymentBroken):
        unnamed(root, Route.CHAT)


def test_a_default_that_only_can_serve_a_route_stays_before_one_made_for_it(tmp_path: Path) -> None:
    write_card(tmp_path, IMAGES, files={"text_model": "text.onnx"})
    assert unnamed(tmp_path, Route.EMBEDDINGS) == "tiny-images"
    write_defaults(tmp_path, {Route.EMBEDDINGS: "tiny-images"})
    write_card(tmp_path, EMBEDDINGS)
    assert unnamed(tmp_path, Route.EMBEDDINGS) == "tiny-images"


def test_the_log_says_once_which_deployment_answers_an_ambiguous_route(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    write_defaults(root, {Route.CHAT: "b-chat"})
    catalog = catalog_of(root)
    catalog.put(0, read_folders(root), read_defaults(root))
    assert [record.message for record in caplog.records] == [
        (
            "a-chat, b-chat, c-chat serve chat/completions. "
            "Requests without a model name are answered by b-chat."
        ),
        (
            "a-chat, b-chat, c-chat serve completions. Requests without a model name are refused until "
            "INFERENCE_DEFAULT_DEPLOYMENTS or `models default NAME` names one."
        ),
    ]
