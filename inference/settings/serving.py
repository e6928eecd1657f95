"""The settings of the endpoint itself: deployments, authentication, limits, memory and threads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir

from inference.settings.locations import Location, locations
from inference.settings.setting import (
    PROJECT,
    aliases,
    at_least,
    base_url,
    boolean,
    comma_separated,
    folder,
    one_of,
    setting,
    shared_access_signature,
    tenant_id,
)


@dataclass(frozen=True, slots=True)
class ServingSettings:
    """The settings of the endpoint: its deployments, its callers, and the limits of both."""

    models: tuple[Location, ...] = setting(
        "INFERENCE_MODELS",
        locations,
        (PROJECT / "models",),
        "Locations of deployments, separated by commas: folders (relative ones start at the project) and "
        "blob containers (`https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX`, with or without a SAS).",
    )
    storage_key: str = setting(
        "INFERENCE_STORAGE_KEY",
        str.strip,
        "",
        "Key of the storage account of INFERENCE_MODELS. Without a key and a SAS, the app's identity is used "
        "(DefaultAzureCredential).",
        secret=True,
    )
    storage_sas: str = setting(
        "INFERENCE_STORAGE_SAS",
        shared_access_signature,
        "",
        "Shared access signature for the containers of INFERENCE_MODELS whose URLs have none; it must allow "
        "reading and listing.",
        secret=True,
    )
    fetch: str = setting(
        "INFERENCE_FETCH",
        one_of("start", "request"),
        "start",
        "When deployments are downloaded from a container: `start`, as soon as the app starts; `request`, at "
        "the first request for each.",
    )
    cache: Path | None = setting(  # noqa: RUF009  a path is frozen
        "INFERENCE_CACHE",
        folder,
        None,
        "Folder on a local disk for files downloaded from containers and for prepared weights; processes may "
        "share it. Default: `model-inference` in the folder for temporary files.",
    )
    cache_mb: int = setting(
        "INFERENCE_CACHE_MB",
        at_least(0),
        0,
        "The most disk space, in MiB, for INFERENCE_CACHE; 0: all that is free. Deployments that are not in "
        "use are removed to make room, longest unused first.",
    )
    defaults: tuple[str, ...] = setting(
        "INFERENCE_DEFAULT_DEPLOYMENTS",
        comma_separated,
        (),
        "Deployments, separated by commas, that serve requests without a model name: on each route the first "
        "that supports it. They go before those that `defaults.json` of a folder names.",
    )
    aliases: tuple[tuple[str, str], ...] = setting(
        "INFERENCE_MODEL_ALIASES",
        aliases,
        (),
        "Other names of deployments, separated by commas: `gpt-4o=my-chat`; `*=my-chat` for every name that "
        "no deployment has. Of several deployments of one alias the first that serves the route answers. "
        "`aliases` in a card adds to them.",
    )
    api_keys: tuple[str, ...] = setting(
        "INFERENCE_API_KEYS",
        comma_separated,
        (),
        "API keys, separated by commas; a request must carry one in `api-key` or `Authorization: Bearer`.",
        secret=True,
    )
    anonymous: bool = setting(
        "INFERENCE_ANONYMOUS",
        boolean,
        False,
        "Serve requests without a key or token, also from other machines.",
    )
    entra_tenant: str = setting(
        "INFERENCE_ENTRA_TENANT",
        tenant_id,
        "",
        "Id of the Microsoft Entra tenant whose access tokens are accepted in addition to API keys. Empty: "
        "no tokens are accepted.",
    )
    entra_audiences: tuple[str, ...] = setting(
        "INFERENCE_ENTRA_AUDIENCES",
        comma_separated,
        ("https://ml.azure.com", "https://cognitiveservices.azure.com", "https://ai.azure.com"),
        "Accepted audiences of tokens, separated by commas; a slash at the end makes no difference.",
    )
    entra_authority: str = setting(
        "INFERENCE_ENTRA_AUTHORITY",
        base_url,
        "https://login.microsoftonline.com",
        "Authority that issues the tenant's tokens; sovereign clouds have other hosts.",
    )
    entra_roles: tuple[str, ...] = setting(
        "INFERENCE_ENTRA_ROLES",
        comma_separated,
        (),
        "App roles, separated by commas, one of which a token must carry. Empty: every token of the tenant "
        "for one of the audiences is accepted.",
    )
    require_api_version: bool = setting(
        "INFERENCE_REQUIRE_API_VERSION",
        boolean,
        False,
        "Refuse requests without `api-version` on the native routes instead of assuming 2024-05-01-preview.",
    )
    max_body_bytes: int = setting(
        "INFERENCE_MAX_BODY_BYTES", at_least(1), 32 * 1024 * 1024, "The largest request body, in bytes."
    )
    max_messages: int = setting(
        "INFERENCE_MAX_MESSAGES", at_least(1), 2048, "The most messages in one request."
    )
    max_tools: int = setting("INFERENCE_MAX_TOOLS", at_least(1), 128, "The most tools in one request.")
    max_text_characters: int = setting(
        "INFERENCE_MAX_TEXT_CHARACTERS",
        at_least(1),
        1_000_000,
        "The most characters that one request may have tokenized: a rendered prompt, or all inputs together.",
    )
    max_inputs: int = setting(
        "INFERENCE_MAX_INPUTS",
        at_least(1),
        2048,
        "The most inputs in one embeddings request.",
    )
    max_tokens: int = setting(
        "INFERENCE_MAX_TOKENS",
        at_least(1),
        4096,
        "The most tokens generated when a request sets no `max_tokens`; the context may have room for fewer.",
    )
    max_choices: int = setting(
        "INFERENCE_MAX_CHOICES", at_least(1), 32, "The most choices (`n` times the prompts) of one request."
    )
    slots: int = setting(
        "INFERENCE_SLOTS", at_least(1), 8, "The most sequences that a deployment decodes at once."
    )
    queue_limit: int = setting(
        "INFERENCE_QUEUE_LIMIT",
        at_least(1),
        64,
        "The most sequences (of an embedding model: requests) that may wait; more are refused with 429.",
    )
    memory_mb: int = setting(
        "INFERENCE_MEMORY_MB",
        at_least(0),
        0,
        "The most memory, in MiB, for all open models; 0: three quarters of the memory of the machine or the "
        "container. Models that are not in use are closed to make room, longest unused first.",
    )
    kv_memory_mb: int = setting(
        "INFERENCE_KV_MEMORY_MB",
        at_least(0),
        0,
        "The most memory, in MiB, for a deployment's KV cache, which may lower the number of its slots; 0: a "
        "quarter of INFERENCE_MEMORY_MB.",
    )
    prefix_cache_mb: int = setting(
        "INFERENCE_PREFIX_CACHE_MB",
        at_least(0),
        128,
        "The most memory, in MiB, for a deployment's prefix cache, which reuses the keys and values of "
        "prompts with the same prefix; 0: no prefix cache.",
    )
    threads: int = setting(
        "INFERENCE_THREADS",
        at_least(0),
        0,
        "Threads of each inference session; 0: one for each processor that this process may use.",
    )
    spinning: str = setting(
        "INFERENCE_SPINNING",
        one_of("auto", "on", "off"),
        "auto",
        "Let the threads of a running model spin while they wait for each other: faster on dedicated "
        "processors, much slower on shared ones. `auto`: on where there are at least two processors and no "
        "container quota below their number.",
    )
    prepack: bool = setting(
        "INFERENCE_PREPACK",
        boolean,
        False,
        "Keep optimized and prepacked weights in INFERENCE_CACHE, so that models open faster at the next "
        "start; takes about 2.4 times the disk space of the model's file.",
    )
    providers: tuple[str, ...] = setting(
        "INFERENCE_PROVIDERS",
        comma_separated,
        ("CPUExecutionProvider",),
        "Execution providers of onnxruntime, separated by commas, most preferred first; the installed "
        "onnxruntime must have each of them.",
    )
    heartbeat_seconds: int = setting(
        "INFERENCE_HEARTBEAT_SECONDS",
        at_least(1),
        15,
        "Seconds without a chunk after which a stream sends an empty delta, so that no proxy closes the "
        "connection.",
    )
    load_seconds: int = setting(
        "INFERENCE_LOAD_SECONDS",
        at_least(1),
        30,
        "The longest, in seconds, that a request waits for its model to load; then it is refused with 503 "
        "and `Retry-After`.",
    )

    @property
    def cache_folder(self) -> Path:
        """Folder for files that are kept between starts; it need not exist."""
        return self.cache or Path(gettempdir()) / "model-inference"

    @property
    def has_credentials(self) -> bool:
        """True if callers can authenticate: there are API keys, or a tenant whose tokens are accepted."""
        return bool(self.api_keys or self.entra_tenant)
