"""A model's folder among the deployments becomes a deployment where it is: nothing in it is changed.

The deployment is staged in another folder as any other. Then the files that the folder lacks move into it,
the card last: until it is there, the folder is no deployment.
"""

from __future__ import annotations

import filecmp
import json
from contextlib import suppress
from pathlib import Path

from inference.cards.card import CARD_FILE
from inference.importer.findings import Finding, ImporterError

ROLES = {
    "generation_config.json": "generation_config",
    "config.json": "config",
    "genai_config.json": "genai_config",
}
"""Files that a card may name otherwise, by their role in it."""


def require_raw(target: Path) -> None:
    """Raise `ImporterError` where a folder is a deployment already."""
    if (target / CARD_FILE).exists():
        raise ImporterError(
            f"{target} is a deployment already. To describe it anew, delete its {CARD_FILE} and run the same "
            "command again."
        )


def publish_into(staged: Path, target: Path) -> Finding[None]:
    """Move the files of a staged deployment that a folder lacks into it, the card last.

    A file that differs from the folder's own gets another name, which the card has. Raises `ImporterError`
    where the card cannot name it; then the folder is as before.
    """
    require_raw(target)
    renamed: dict[str, str] = {}
    moved: list[Path] = []
    try:
        for path in sorted(path for path in staged.rglob("*") if path.is_file()):
            name = path.relative_to(staged).as_posix()
            if name == CARD_FILE or _is_there(path, target / name):
                continue
            if (target / name).exists():
                renamed[name] = _other_name(name, target)
            moved.append(_move(path, target / renamed.get(name, name)))
        _rename_in_card(staged / CARD_FILE, renamed)
        moved.append(_move(staged / CARD_FILE, target / CARD_FILE))
    except BaseException:
        for path in moved:
            with suppress(OSError):
                path.unlink()
        raise
    new = ", ".join(sorted(path.relative_to(target).as_posix() for path in moved))
    return Finding(
        None,
        f"The folder is a deployment now, where it is: {new} is new in it, its own files are as they were. "
        "`models remove` would delete all of them.",
    )


def _is_there(staged: Path, own: Path) -> bool:
    """Return True where the folder has the same file: one by a hard link, or one with the same bytes."""
    return own.is_file() and (own.samefile(staged) or filecmp.cmp(staged, own, shallow=False))


def _other_name(name: str, target: Path) -> str:
    other = Path(name).with_stem(f"{Path(name).stem}.deployment").as_posix()
    if name not in ROLES or (target / other).exists():
        raise ImporterError(
            f"{target / name} is another file than the {name} that belongs to the graph, and stays as it is. "
            "Choose another --name: then the deployment gets a folder of its own."
        )
    return other


def _move(path: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    return path.rename(target)


def _rename_in_card(path: Path, renamed: dict[str, str]) -> None:
    if renamed:
        card = json.loads(path.read_bytes())
        card["files"] |= {ROLES[name]: other for name, other in renamed.items()}
        path.write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
