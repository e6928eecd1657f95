"""What the content filter costs: how soon a filtered stream shows text, and what filtering a request adds.

The streams are simulated: 400 tokens of 4.2 characters, a service that answers in 120 ms, 20 seeds, time that
jumps. What a request adds is measured on a server process, with the emulator answering in 120 ms.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import endless_chat
from benchmarks.measure import Spread, by_turns
from benchmarks.table import Goal, Line, Report
from inference.api.chat import ChatRequest
from inference.cards.card import load
from inference.contracts import ApiStyle, Route, Text
from inference.pipeline.admission import ResolvedRequest
from inference.pipeline.content_filter import ContentFilter
from inference.registry.registry import Registry
from inference.safety.output_filter import WindowTiming
from inference.safety.output_window import filter_stream
from inference.settings import Settings
from tests.http.servers import Server, running
from tests.safety.clock import now, simulate
from tests.safety.emulating import KEY, emulator, server_of
from tests.safety.judges import MEDIUM, FakeModerator, model_events, output_filter_of, spent

RATES = (10, 30, 60)
TOKENS, CHARACTERS = 400, 4.2
CHECK_SECONDS = 0.12
SEEDS = 20
ROUNDS = 15
WORDS = 80
"""Of a prompt whose first token takes longer than the check."""
MILLISECONDS, MICROSECONDS = 1e3, 1e6


@dataclass(frozen=True, slots=True)
class Shown:
    """What a reader saw of one simulated stream, in seconds."""

    first: float
    """From the moment the first window's text existed."""
    gap: float
    """The longest time without new text."""
    end: float
    """From the model's end to the last text."""
    checks: int


def run() -> Report:
    lines = [line for rate in RATES for line in _simulated(rate)]
    with TemporaryDirectory() as folder:
        lines += _measured(Path(folder))
    lines.append(Line("a request while the filter is off", Spread.of(_off()), " µs", MICROSECONDS))
    note = "Simulated lines are exact; of the measured ones more than 1 is what filtering the request adds."
    return Report(lines, [note])


def _simulated(rate: int) -> list[Line]:
    seen = [simulate(_stream(rate, seed)) for seed in range(SEEDS)]
    checks = Goal(9, " checks") if rate == 30 else None
    return [
        Line(
            f"{rate} tokens/s: first text after its window",
            Spread.of([one.first for one in seen]),
            " s",
            goal=Goal(0.2, " s"),
        ),
        Line(f"{rate} tokens/s: longest silence", Spread.of([one.gap for one in seen]), " s"),
        Line(f"{rate} tokens/s: last text after the model's end", Spread.of([one.end for one in seen]), " s"),
        Line(
            f"{rate} tokens/s: checks of {TOKENS} tokens",
            Spread.of([float(one.checks) for one in seen]),
            "",
            goal=checks,
        ),
    ]


async def _stream(rate: int, seed: int) -> Shown:
    draw = random.Random(seed)
    pieces = ["x" * max(1, round(draw.gauss(CHARACTERS, 2))) for _ in range(TOKENS)]
    existed = list(itertools.accumulate(map(len, pieces)))
    judge = FakeModerator(delays=itertools.repeat(CHECK_SECONDS))
    events = filter_stream(
        model_events(pieces, every=lambda _: 1 / rate), output_filter_of(judge, MEDIUM), spent
    )
    seconds = [now() async for event in events if isinstance(event, Text)]
    window = _first_window([(number / rate, size) for number, size in enumerate(existed, 1)])
    gaps = [later - sooner for sooner, later in itertools.pairwise(seconds)]
    return Shown(seconds[0] - window, max(gaps), seconds[-1] - TOKENS / rate, len(judge.texts))


def _first_window(existed: Sequence[tuple[float, int]]) -> float:
    """Return the time of the first window's text: when it is full, or 1.5 s old and longer than the hold."""
    pace = WindowTiming()
    full = next(second for second, size in existed if size >= pace.windows[0])
    more = next(second for second, size in existed if size > pace.holdback)
    return min(full, max(existed[0][0] + pace.seconds, more))


def _measured(folder: Path) -> list[Line]:
    """Measure the first token with and without the input filter; no answer is filtered, so that it shows."""
    models = endless_chat.write(folder)
    azure = server_of()
    azure.delay = CHECK_SECONDS
    with (
        emulator(azure) as service,
        running(models, folder / "off.log", INFERENCE_THREADS="0") as off,
        running(
            models,
            folder / "on.log",
            INFERENCE_THREADS="0",
            INFERENCE_CONTENT_SAFETY_ENDPOINT=service.url,
            INFERENCE_CONTENT_SAFETY_KEY=KEY,
            INFERENCE_CONTENT_SAFETY_OUTPUT="off",
        ) as on,
    ):
        subjects = {
            "long off": _first(off, WORDS),
            "long on": _first(on, WORDS),
            "short off": _first(off, 1),
            "short on": _first(on, 1),
        }
        seconds = by_turns(subjects, rounds=ROUNDS)
    return [
        Line("first token, long prompt, filter off", Spread.of(seconds["long off"]), " ms", MILLISECONDS),
        Line(
            "the same, its request filtered meanwhile",
            Spread.of(seconds["long on"]),
            " ms",
            MILLISECONDS,
            Spread.ratio(seconds["long on"], to=seconds["long off"]),
            Goal(1.1),
        ),
        Line("first token, short prompt, filter off", Spread.of(seconds["short off"]), " ms", MILLISECONDS),
        Line("the same, its request filtered", Spread.of(seconds["short on"]), " ms", MILLISECONDS),
    ]


def _first(server: Server, words: int) -> Callable[[], float]:
    """Return a subject: the seconds to the first text of an answer to a prompt that is new every time."""
    numbers = itertools.count()

    def subject() -> float:
        content = " ".join(f"{next(numbers)} words" for _ in range(words))
        messages = [{"role": "user", "content": content}]
        body = {"messages": messages, "stream": True, "max_tokens": 2, "temperature": 0}
        start = time.perf_counter()
        with server.http.stream("POST", "/chat/completions", json=body) as response:
            response.raise_for_status()
            lines = (line for line in response.iter_lines() if line)
            next(lines), next(lines)
            return time.perf_counter() - start

    return subject


def _off() -> list[float]:
    """Return the seconds that the filter takes of a request where there is none."""
    with TemporaryDirectory() as folder:
        deployment = load(endless_chat.write(Path(folder)))
        settings = Settings(models=(Path(folder),))
        registry = Registry(settings)
        guard = ContentFilter(settings, registry)
        request = ChatRequest.model_validate({"messages": [{"role": "user", "content": "Hello!"}]})
        order = ResolvedRequest(Route.CHAT, deployment, ApiStyle.NATIVE, "2024-05-01-preview", (), size=6)
        taken = asyncio.run(_inquiries(guard, request, order))
        registry.close()
    return taken


async def _inquiries(
    guard: ContentFilter, request: ChatRequest, order: ResolvedRequest, times: int = 1000
) -> list[float]:
    async def work() -> None:
        """Take no time."""

    taken = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(times):
            async with guard.check(request, order) as check:
                await check.alongside(work())
        taken.append((time.perf_counter() - start) / times)
    return taken
