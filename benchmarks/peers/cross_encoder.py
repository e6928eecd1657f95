"""sentence-transformers' CrossEncoder on torch: CHECKPOINT THREADS; a line is pairs to score, 32 a run."""

import json
import sys
import time
from importlib import import_module

BATCH = 32
"""The package's own default."""


def main() -> None:
    # Imported by name: they are not installed where the types are checked.
    import_module("torch").set_num_threads(int(sys.argv[2]))
    # A file of the package's name is in this one's folder, which is searched first.
    sys.path.pop(0)
    model = import_module("sentence_transformers").CrossEncoder(sys.argv[1], device="cpu")
    print("ready", flush=True)
    for line in sys.stdin:
        pairs = json.loads(line)
        start = time.perf_counter()
        model.predict(pairs, batch_size=BATCH)
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
