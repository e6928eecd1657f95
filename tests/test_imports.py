"""The imports of the package point one way: the layers stand in pyproject.toml."""

from importlinter.cli import lint_imports

from inference.settings import PROJECT


def test_rooms_import_only_what_the_contracts_allow() -> None:
    assert lint_imports(str(PROJECT / "pyproject.toml"), cache_dir=None) == 0
