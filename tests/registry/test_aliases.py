"""Aliases: of the settings and of cards, in any case, and the deployments that answer under them."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference.cards.card import CardError, parse
from inference.contracts import Route
from inference.errors import ApiError, DeploymentBroken, ModelNotReady, NotFound, UnknownModel
from inference.registry.catalog import Catalog
from inference.registry.folders import read_folders
from tests.support.cards import CHAT, EMBEDDINGS, write_card

CONFIGURED = (
    ("gpt-4o", "tiny-chat"),
    ("Small", "tiny-embeddings"),
    ("both", "tiny-embeddings"),
    ("both", "TINY-chat"),
    ("lost", "nowhere"),
    ("tiny-embeddings", "tiny-chat"),
    ("cracked", "broken"),
)
ANYTHING = (("*", "tiny-chat"), ("*", "tiny-embeddings"))


def catalog_of(root: Path, *aliases: tuple[str, str], problem: str = "") -> Catalog:
    catalog = Catalog(1, (), lambda: problem, aliases)
    catalog.put(0, read_folders(root))
    return catalog


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_card(tmp_path, CHAT, aliases=["gpt-4.1", "openai/o3"])
    write_card(tmp_path, EMBEDDINGS)
    write_card(tmp_path, CHAT, name="broken", backend="magic")
    return tmp_path


@pytest.mark.parametrize("place", ["fixed", "model"])
@pytest.mark.parametrize(
    ("route", "name", "answer"),
    [
        (Route.CHAT, "gpt-4o", "tiny-chat"),
        (Route.CHAT, "GPT-4o", "tiny-chat"),
        (Route.CHAT, "openai/o3", "tiny-chat"),
        (Route.EMBEDDINGS, "small", "tiny-embeddings"),
        (Route.EMBEDDINGS, "both", "tiny-embeddings"),
        (Route.CHAT, "both", "tiny-chat"),
        (Route.EMBEDDINGS, "gpt-4o", NotFound),
        (Route.EMBEDDINGS, "tiny-embeddings", "tiny-embeddings"),
        (Route.INFO, "gpt-4.1", "tiny-chat"),
        (Route.CHAT, "lost", UnknownModel),
        (Route.CHAT, "cracked", DeploymentBroken),
        (Route.CHAT, "*", UnknownModel),
        (Route.CHAT, "gpt-5", UnknownModel),
    ],
)
def test_an_alias_stands_for_its_deployments(
    root: Path, route: Route, name: str, answer: str | type[ApiError], place: str
) -> None:
    names = {"fixed": None, "model": None, place: name}
    catalog = catalog_of(root, *CONFIGURED)
    if isinstance(answer, str):
        assert catalog.choose(route, fixed=names["fixed"], model=names["model"]).name == answer
    else:
        with pytest.raises(answer):
            catalog.choose(route, fixed=names["fixed"], model=names["model"])


def test_any_name_is_answered_by_the_first_that_serves_the_route_but_names_keep_their_own(root: Path) -> None:
    catalog = catalog_of(root, *ANYTHING)
    assert catalog.choose(Route.CHAT, fixed=None, model="gpt-5").name == "tiny-chat"
    assert catalog.choose(Route.EMBEDDINGS, fixed="ada", model=None).name == "tiny-embeddings"
    assert catalog.choose(Route.CHAT, fixed=None, model="openai/o3").name == "tiny-chat"
    with pytest.raises(NotFound) as other:
        catalog.choose(Route.CHAT, fixed=None, model="tiny-embeddings")
    assert other.value.message == (
        "Not Found: tiny-embeddings does not serve chat/completions. "
        "The deployments of chat/completions are: tiny-chat."
    )
    with pytest.raises(DeploymentBroken):
        catalog.choose(Route.CHAT, fixed=None, model="broken")
    with pytest.raises(NotFound) as refusal:
        catalog.choose(Route.IMAGE_EMBEDDINGS, fixed=None, model="clip")
    assert refusal.value.message == (
        "Not Found: clip is an alias of tiny-chat, which does not serve images/embeddings. "
        "There is no deployment of images/embeddings."
    )


def test_a_card_may_answer_any_name(root: Path) -> None:
    write_card(root, CHAT, name="all", aliases=["*"])
    catalog = catalog_of(root)
    assert catalog.choose(Route.CHAT, fixed=None, model="gpt-5").name == "all"
    with pytest.raises(UnknownModel):
        catalog.get("gpt-5")


def test_a_refusal_names_the_alias_and_what_it_stands_for(root: Path) -> None:
    with pytest.raises(UnknownModel) as refusal:
        catalog_of(root, *CONFIGURED).choose(Route.CHAT, fixed=None, model="lost")
    assert refusal.value.message == (
        "Unknown model: lost is an alias of nowhere, and there is no such deployment. "
        "The deployments of chat/completions are: tiny-chat."
    )


def test_aliases_are_listed_as_they_are_written(root: Path) -> None:
    catalog = catalog_of(root, *CONFIGURED, *ANYTHING)
    chat, embeddings = (catalog.get(name) for name in ("tiny-chat", "tiny-embeddings"))
    assert catalog.aliases(chat) == ("gpt-4o", "both", "*", "gpt-4.1", "openai/o3")
    assert catalog.aliases(embeddings) == ("Small", "both", "*")
    assert catalog.find("SMALL") == (embeddings, "Small")
    assert catalog.find("Tiny-Chat") == (chat, "tiny-chat")
    assert catalog.find("gpt-5") == (chat, "tiny-chat")


def test_an_alias_that_is_a_name_is_left_out_and_logged(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    catalog = catalog_of(root, *CONFIGURED)
    assert "The alias tiny-embeddings of tiny-chat is the name of another deployment." in caplog.text
    assert "tiny-embeddings" not in catalog.aliases(catalog.get("tiny-chat"))


def test_while_a_container_is_not_listed_aliases_answer_and_any_name_waits(root: Path) -> None:
    catalog = catalog_of(root, *CONFIGURED, *ANYTHING, problem="the container is being listed")
    assert catalog.choose(Route.CHAT, fixed=None, model="gpt-4o").name == "tiny-chat"
    for name in ("gpt-5", "lost"):
        with pytest.raises(ModelNotReady):
            catalog.choose(Route.CHAT, fixed=None, model=name)


@pytest.mark.parametrize("alias", ["", "a b", "a,b", "a=b", "gpt-*", 5])
def test_an_alias_that_no_setting_could_have_is_refused_in_a_card(alias: object) -> None:
    import json

    with pytest.raises(CardError, match=r"model\.json: aliases\.0"):
        parse(json.dumps({**CHAT, "aliases": [alias]}).encode())
