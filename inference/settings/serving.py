"""The settings of the endpoint itself: deployments, callers, limits, the machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir

from inference.settings.locations import Location, locations
from inference.settings.setting import (
    PROJECT,
    at_least,
    authority,
    flag,
    folder,
    names,
    one_of,
    setting,
    signature,
    tenant,
)


@dataclass(frozen=True, slots=True)
class ServingSettings:
    """Who may ask, for how much, and what of the machine it may take."""

    models: tuple[Location, ...] = setting(
        "INFERENCE_MODELS",
        locations,
        (PROJECT / "models",),
        "What holds deployments, separated by commas: folders (relative ones start at the project) and blob "
        "containers (`https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX`, with or without a SAS).",
    )
    storage_key: str = setting(
        "INFERENCE_STORAGE_KEY",
        str.strip,
        "",
        "Key of the storage account of INFERENCE_MODELS; without one and without a SAS the app's identity is "
        "used (DefaultAzureCredential).",
        secret=True,
    )
    storage_sas: str = setting(
        "INFERENCE_STORAGE_SAS",
        signature,
        "",
        "Shared access signature for the containers of INFERENCE_MODELS that do not carry their own; it "
        "allows to read and to list.",
        secret=True,
    )
    fetch: str = setting(
        "INFERENCE_FETCH",
        one_of("start", "request"),
        "start",
        "When deployments are fetched from a container: start begins with the app, request with the first "
        "request for each.",
    )
    cache: Path | None = setting(  # noqa: RUF009  a path is frozen
        "INFERENCE_CACHE",
        folder,
        None,
        "Folder on a local disk for what is fetched from containers and for prepared weights; processes may "
        "share it. Without it, `model-inference` in the folder for temporary files.",
    )
    cache_mb: int = setting(
        "INFERENCE_CACHE_MB",
        at_least(0),
        0,
        "The most disk, in MiB, that the folder may take; 0 takes what the disk has free. Deployments not in "
        "use give way, longest unused first.",
    )
    defaults: tuple[str, ...] = setting(
        "INFERENCE_DEFAULT_DEPLOYMENTS",
        names,
        (),
        "Deployments, separated by commas, that answer when a request names none: per route the first that "
        "serves it.",
    )
    api_keys: tuple[str, ...] = setting(
        "INFERENCE_API_KEYS",
        names,
        (),
        "Keys, separated by commas; a request must carry one in `api-key` or `Authorization: Bearer`.",
        secret=True,
    )
    anonymous: bool = setting(
        "INFERENCE_ANONYMOUS",
        flag,
        False,
        "Answer without any key or token although the endpoint may be reached from other machines.",
    )
    entra_tenant: str = setting(
        "INFERENCE_ENTRA_TENANT",
        tenant,
        "",
        "Id of the Microsoft Entra tenant whose access tokens are accepted beside keys; without it no token "
        "is.",
    )
    entra_audiences: tuple[str, ...] = setting(
        "INFERENCE_ENTRA_AUDIENCES",
        names,
        ("https://ml.azure.com", "https://cognitiveservices.azure.com", "https://ai.azure.com"),
        "Audiences, separated by commas, one of which a token must be for; a slash at the end makes no "
        "difference.",
    )
    entra_authority: str = setting(
        "INFERENCE_ENTRA_AUTHORITY",
        authority,
        "https://login.microsoftonline.com",
        "Where the tenant's tokens come from; sovereign clouds have other hosts.",
    )
    entra_roles: tuple[str, ...] = setting(
        "INFERENCE_ENTRA_ROLES",
        names,
        (),
        "App roles, separated by commas, one of which a token must carry; without any, every token of the "
        "tenant for an audience will do.",
    )
    require_api_version: bool = setting(
        "INFERENCE_REQUIRE_API_VERSION",
        flag,
        False,
        "Refuse a request without `api-version` on the native routes instead of serving 2024-05-01-preview.",
    )
    max_body_bytes: int = setting(
        "INFERENCE_MAX_BODY_BYTES", at_least(1), 32 * 1024 * 1024, "The largest request body, in bytes."
    )
    max_messages: int = setting(
        "INFERENCE_MAX_MESSAGES", at_least(1), 2048, "The most messages of one conversation."
    )
    max_tools: int = setting("INFERENCE_MAX_TOOLS", at_least(1), 128, "The most tools offered at once.")
    max_text_characters: int = setting(
        "INFERENCE_MAX_TEXT_CHARACTERS",
        at_least(1),
        1_000_000,
        "The most characters that are tokenised for one request: a rendered prompt, or all inputs together.",
    )
    max_inputs: int = setting(
        "INFERENCE_MAX_INPUTS",
        at_least(1),
        2048,
        "The most inputs of one embeddings request.",
    )
    max_tokens: int = setting(
        "INFERENCE_MAX_TOKENS",
        at_least(1),
        4096,
        "The most tokens an answer gets when the request sets no `max_tokens`; the context may leave fewer.",
    )
    max_choices: int = setting(
        "INFERENCE_MAX_CHOICES", at_least(1), 32, "The most choices (`n` times prompts) of one generation."
    )
    slots: int = setting(
        "INFERENCE_SLOTS", at_least(1), 8, "How many sequences a generating deployment decodes at once."
    )
    queue_limit: int = setting(
        "INFERENCE_QUEUE_LIMIT",
        at_least(1),
        64,
        "How many sequences (of an embedding model: requests) may wait before more are refused with 429.",
    )
    memory_mb: int = setting(
        "INFERENCE_MEMORY_MB",
        at_least(0),
        0,
        "The most memory, in MiB, that open models may take together; 0 takes three quarters of what the "
        "machine or the container gives. Models not in use are closed to make room, longest unused first.",
    )
    kv_memory_mb: int = setting(
        "INFERENCE_KV_MEMORY_MB",
        at_least(0),
        0,
        "The most memory, in MiB, that a deployment's KV cache may take; fewer slots are opened to keep it. "
        "0 takes a quarter of INFERENCE_MEMORY_MB.",
    )
    prefix_cache_mb: int = setting(
        "INFERENCE_PREFIX_CACHE_MB",
        at_least(0),
        128,
        "The most memory, in MiB, in which a deployment keeps the keys and values of prompts, so that others "
        "that begin alike are not computed again; 0 keeps none.",
    )
    threads: int = setting(
        "INFERENCE_THREADS",
        at_least(0),
        0,
        "Threads of each inference session; 0 takes the processors this process may use.",
    )
    spinning: str = setting(
        "INFERENCE_SPINNING",
        one_of("auto", "on", "off"),
        "auto",
        "Whether threads of a running model spin while they wait for each other: faster on processors of "
        "one's own, much slower on shared ones. auto does where there are at least two and no container's "
        "quota is below their number.",
    )
    prepack: bool = setting(
        "INFERENCE_PREPACK",
        flag,
        False,
        "Keep optimised and prepacked weights in INFERENCE_CACHE, so that the next start opens models "
        "faster, for about 2.4 times the disk of the model's file.",
    )
    providers: tuple[str, ...] = setting(
        "INFERENCE_PROVIDERS",
        names,
        ("CPUExecutionProvider",),
        "Execution providers of onnxruntime, separated by commas, in the order they are tried; each must be "
        "one that the installed onnxruntime has.",
    )
    heartbeat_seconds: int = setting(
        "INFERENCE_HEARTBEAT_SECONDS",
        at_least(1),
        15,
        "A stream with nothing to say for so long sends an empty delta, so that no proxy gives it up.",
    )
    load_seconds: int = setting(
        "INFERENCE_LOAD_SECONDS",
        at_least(1),
        30,
        "How long a request waits for its model to load before it is told to come back (503).",
    )

    @property
    def cache_folder(self) -> Path:
        """Where things are kept between starts; it need not exist."""
        return self.cache or Path(gettempdir()) / "model-inference"

    @property
    def locked(self) -> bool:
        """Whether there is anything that a caller could show."""
        return bool(self.api_keys or self.entra_tenant)
