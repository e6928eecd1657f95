"""The numbers the model is made with. The same numbers and the same kind of processor give the same model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tools.graphs.decoder_weights import DecoderShape
from training.chat.corpus import EVERYDAY, Mix

SEED = 20
VOCABULARY = 3072
DEPLOYMENT = Path(__file__).parents[2] / "models" / "starter-chat"
WEIGHTS = "weights.npz"
CHECKPOINTS = Path(__file__).parents[2] / "build" / "starter-chat"

SHAPE = DecoderShape(
    vocab=VOCABULARY, hidden=320, layers=5, heads=6, kv_heads=2, head_dim=64, ffn=672, context=1024
)


@dataclass(frozen=True, slots=True)
class Stage:
    """`steps` over a stream of texts of its own, the first `short` of them over short texts only.

    Short texts come first because copying is learnt there first, and cheaply. The learning rates rise to
    `peak` of the full ones over `warmup` steps, stay until `hold` and fall on a line that meets zero at
    `zero`. A step takes about `tokens` tokens. `curtail` is the share of set answers whose first sentence
    only is learnt. With `upper`, only so many of the last layers learn: what the others know is kept, at half
    of the time.
    """

    steps: int
    hold: int
    zero: int
    peak: float = 1.0
    short: int = 0
    mix: Mix = EVERYDAY
    warmup: int = 50
    tokens: int = 6144
    curtail: float = 0.0
    upper: int | None = None

    def factor(self, step: int) -> float:
        """The share of the full learning rates at a step counted from zero."""
        rising = (step + 1) / self.warmup
        falling = (self.zero - step) / (self.zero - self.hold)
        return self.peak * min(1.0, rising, falling)


STAGES = (
    Stage(steps=1600, hold=800, zero=2000, short=600),
    Stage(steps=600, hold=700, zero=1800, peak=0.4, mix=Mix(practice=0.6)),
    Stage(steps=600, hold=500, zero=1500, peak=0.4, mix=Mix(broad=0.7)),
    Stage(steps=1200, hold=300, zero=1200, peak=0.4, mix=Mix(broad=0.6, worked=True)),
    Stage(steps=400, hold=120, zero=400, peak=0.4, mix=Mix(wide=0.7, worked=True)),
    Stage(
        steps=260,
        hold=100,
        zero=265,
        peak=0.3,
        mix=Mix(wide=0.5, outside=0.72, worked=True),
        warmup=15,
        tokens=2048,
        curtail=0.8,
        upper=2,
    ),
    Stage(
        steps=80,
        hold=15,
        zero=81,
        peak=0.15,
        mix=Mix(wide=0.5, outside=0.65, worked=True),
        warmup=5,
        tokens=2048,
        curtail=0.8,
        upper=2,
    ),
)
FROM_SHIPPED = 5
"""The stages from this number on went on from weights that had been exported."""
MATRIX_RATE = 0.02
VECTOR_RATE = 0.004
THREADS = 2
