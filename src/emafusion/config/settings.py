"""The shape of every setting: names, types, defaults and bounds. Reads nothing, builds nothing.

``docs/configuration.md`` describes each key; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, field

from emafusion.errors import ConfigError
from emafusion.protect.rules import Answering, Deed
from emafusion.types import Arrangement, DataClass, Probability, Visibility
from emafusion.types.models import Bound, PriceTier

Positive = Annotated[float, Meta(gt=0.0)]
Count = Annotated[int, Meta(ge=1)]
NotNegative = Annotated[float, Meta(ge=0.0)]


class Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of every table of the file: an unknown key is an error."""


class NamedPolicySettings(Table, frozen=True, kw_only=True):
    """``[policies.NAME]``: what a request gets that names the policy."""

    prefer: Probability | None = None
    min_quality: Probability | None = None
    max_cost_usd: Positive | None = None
    max_latency_s: Positive | None = None
    models: tuple[str, ...] | None = None
    arrangement: Arrangement = "auto"
    private: bool = False

    def __post_init__(self) -> None:
        if self.models is not None and not self.models:
            raise ConfigError(
                "a policy's models is empty, so no model could ever answer; name one or more in "
                "it, or leave it out to use every configured model"
            )


class PolicySettings(NamedPolicySettings, frozen=True, kw_only=True):
    """``[policy]``: what a request gets that asks for nothing."""

    usd_per_second: NotNegative = 0.0
    hedge: bool = False
    hedge_after_s: Positive | None = None


class VendorSettings(Table, frozen=True, kw_only=True):
    """How much of the process one vendor may take: calls at once, calls waiting, seconds."""

    concurrent: Count = 512
    queue: Annotated[int, Meta(ge=0)] = 4096
    queue_s: Positive = 10.0


class OpenAIProviderSettings(
    VendorSettings, frozen=True, kw_only=True, tag="openai", tag_field="type"
):
    """``[providers.NAME]`` with ``type = "openai"``: any OpenAI-compatible endpoint.

    ``stall_s`` is how long a stream may pause amid its answer.
    """

    base_url: str
    api_key: str | None = None
    stall_s: Positive = 60.0


class BridgeProviderSettings(
    VendorSettings, frozen=True, kw_only=True, tag="bridge", tag_field="type"
):
    """``[providers.NAME]`` with ``type = "bridge"``: a vendor with a wire format of its own."""

    vendor: str
    api_key: str | None = None
    base_url: str | None = None


class LocalProviderSettings(Table, frozen=True, kw_only=True, tag="local", tag_field="type"):
    """``[providers.NAME]`` with ``type = "local"``: model files run in this process."""

    cache: str | None = None
    threads: Count | None = None
    slots: Count = 1


class ReplayProviderSettings(Table, frozen=True, kw_only=True, tag="replay", tag_field="type"):
    """``[providers.NAME]`` with ``type = "replay"``: answers from a folder of recorded outcomes."""

    folder: str


ProviderSettings = (
    OpenAIProviderSettings | BridgeProviderSettings | LocalProviderSettings | ReplayProviderSettings
)


class ModelSettings(Table, frozen=True, kw_only=True):
    """``[models.NAME]``: one model; what is not given is taken from the catalog's data."""

    provider: str
    upstream: str | None = None
    usd_per_mtok_in: NotNegative | None = None
    usd_per_mtok_out: NotNegative | None = None
    usd_per_mtok_cached: NotNegative | None = None
    usd_per_mtok_cache_write: NotNegative | None = None
    usd_per_mtok_cache_write_1h: NotNegative | None = None
    usd_per_mtok_audio_in: NotNegative | None = None
    usd_per_mtok_audio_out: NotNegative | None = None
    usd_per_mtok_image_in: NotNegative | None = None
    usd_per_mtok_image_out: NotNegative | None = None
    tiers: tuple[PriceTier, ...] | None = None
    service_tiers: Mapping[str, NotNegative] | None = None
    context_window: Count | None = None
    max_output: Count | None = None
    capabilities: tuple[str, ...] | None = None
    visibility: Visibility | None = None
    ability: Mapping[str, Probability] | None = None
    ability_weight: Positive | None = None
    tokens_per_s: Positive | None = None
    system: str | None = None
    bound: Bound | None = None


def written(model: ModelSettings) -> dict[str, object]:
    """What a model's table says beyond its provider and its name there."""
    told = msgspec.structs.asdict(model)
    return {
        k: value
        for k, value in told.items()
        if value is not None and k not in ("provider", "upstream")
    }


class UnderstandSettings(Table, frozen=True, kw_only=True):
    """``[understand]``: ``slow`` names the model asked for labels where the fast one is unsure.

    ``split`` answers prompts that ask several things part by part; with ``"slow"``, the slow model
    is asked for parts that show no structure.
    """

    slow: str | None = None
    split: bool | Literal["slow"] = True

    def __post_init__(self) -> None:
        if self.split == "slow" and self.slow is None:
            raise ConfigError(
                'understand.split is "slow", but no model is named to do it; set understand.slow'
            )


class JudgeSettings(Table, frozen=True, kw_only=True):
    """``[judge]``: ``run_code`` has drafts that are Python programs run, in a sandbox."""

    run_code: bool = False


class ArtefactSettings(Table, frozen=True, kw_only=True):
    """``[artefact]``: the fitted policy's folder; without it, the one that ships with emafusion."""

    path: str | None = None


class RecordSettings(Table, frozen=True, kw_only=True):
    """``[record]``: where decisions go, and whether texts go too.

    A file, ``env:NAME`` with a PostgreSQL address, or ``"memory"``, which keeps none. A server
    deletes what is older than ``keep_days``.
    """

    path: str | None = None
    content: bool = True
    keep_days: Positive | None = None


class LearnSettings(Table, frozen=True, kw_only=True):
    """``[learn]``: what is learnt while serving, and how often other models are tried to learn it.

    ``explore`` is a share of requests, ``explore_budget`` one of what is spent; ``explore_usd`` is
    the most that exploring may cost a process in all. ``check`` is the share of answers that a
    second model is asked for too, after the reply, ``check_budget`` and ``check_usd`` what that may
    cost: a share of what answers cost, and dollars in all.
    """

    feedback: bool = True
    explore: Probability = 0.0
    explore_budget: NotNegative = 0.02
    explore_usd: NotNegative | None = None
    check: Probability = 0.0
    check_budget: NotNegative = 0.02
    check_usd: NotNegative | None = None
    drift: bool = True


class GatewaySettings(Table, frozen=True, kw_only=True):
    """``[gateway]``: what ``emafusion serve`` asks of callers, and how much it takes on.

    ``accounts`` is where keys and budgets are kept (a file, or ``env:NAME`` with a PostgreSQL
    address), ``valkey`` (``env:NAME``) where several workers share rates and cached answers;
    ``places`` is how many requests may be under way. ``baseline`` names the model that savings are
    reported against. The seconds are those a stopping server gives requests under way, and before
    that takes further ones.
    """

    accounts: str | None = None
    valkey: str | None = None
    places: Count = 512
    workers: Count = 1
    baseline: str | None = None
    drain_s: Positive = 30.0
    grace_s: NotNegative = 0.0


class CacheSettings(Table, frozen=True, kw_only=True):
    """``[cache]``: whether answers are given again, and for how long.

    ``"exact"`` gives them to equal requests, ``"similar"`` also to the same question in other
    words; never across callers.
    """

    answers: Literal["off", "exact", "similar"] = "off"
    ttl_s: Positive = 3600.0
    megabytes: Count = 64


class ProtectSettings(Table, frozen=True, kw_only=True):
    """``[protect]``: what is taken out of requests before anything sees them, and what follows.

    ``secret`` (``env:NAME``, 16 bytes or more) makes the placeholders. Of ``kinds`` each has its
    deed, ``others`` is that of the rest. ``terms`` and ``patterns`` are the company's own,
    ``names`` is the spaCy pipeline that finds people's, in the ``language``, ``detectors`` are
    further ones, ``MODULE:NAME``. The rest is as for :class:`~emafusion.protect.rules.Rules`.
    """

    secret: str
    kinds: Mapping[str, Deed] = field(default_factory=dict)
    others: Deed = "mask"
    usual: DataClass = "internal"
    private_from: DataClass = "restricted"
    injection: Answering = "note"
    injection_at: Probability = 0.6
    unread: Literal["allow", "private"] = "private"
    limit_s: Positive = 2.0
    terms: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    names: str | None = None
    language: str = "en"
    detectors: tuple[str, ...] = ()


class TelemetrySettings(Table, frozen=True, kw_only=True):
    """``[telemetry]``: how the gateway logs, and where its traces go.

    ``content`` has traces hold prompts and answers.
    """

    log: Literal["text", "json"] = "text"
    otlp: str | None = None
    content: bool = False


class Settings(Table, frozen=True, kw_only=True):
    """The whole file."""

    policy: PolicySettings = field(default_factory=PolicySettings)
    policies: Mapping[str, NamedPolicySettings] = field(default_factory=dict)
    providers: Mapping[str, ProviderSettings] = field(default_factory=dict)
    models: Mapping[str, ModelSettings] = field(default_factory=dict)
    understand: UnderstandSettings = field(default_factory=UnderstandSettings)
    judge: JudgeSettings = field(default_factory=JudgeSettings)
    artefact: ArtefactSettings = field(default_factory=ArtefactSettings)
    record: RecordSettings = field(default_factory=RecordSettings)
    learn: LearnSettings = field(default_factory=LearnSettings)
    gateway: GatewaySettings = field(default_factory=GatewaySettings)
    cache: CacheSettings = field(default_factory=CacheSettings)
    telemetry: TelemetrySettings = field(default_factory=TelemetrySettings)
    protect: ProtectSettings | None = None
