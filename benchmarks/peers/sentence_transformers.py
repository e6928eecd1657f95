"""sentence-transformers on torch: CHECKPOINT THREADS; a line is the texts to embed, in runs of 32, sorted."""

import json
import sys
import time
from importlib import import_module

BATCH = 32
"""The package's own default."""


def main() -> None:
    # Imported by name: they are not installed where the types are checked.
    import_module("torch").set_num_threads(int(sys.argv[2]))
    # This file bears the package's name, and its folder is searched first.
    sys.path.pop(0)
    model = import_module("sentence_transformers").SentenceTransformer(sys.argv[1], device="cpu")
    print("ready", flush=True)
    for line in sys.stdin:
        texts = json.loads(line)
        start = time.perf_counter()
        model.encode(texts, batch_size=BATCH)
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
