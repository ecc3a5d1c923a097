"""Settings in, a client out: every part chosen, made and put together here.

Knows which class each ``type`` tag stands for, and where the shipped policy lies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from emafusion import artefacts, catalog, encoders
from emafusion.artefacts.versions import is_one
from emafusion.client import Client
from emafusion.config.arrivals import Arrivals, ReadyFirst
from emafusion.config.beat import Beat
from emafusion.config.checks import SampledChecks
from emafusion.config.checks import Terms as CheckTerms
from emafusion.config.clock import SystemClock
from emafusion.config.explorer import BoundedExplorer
from emafusion.config.learner import Learner, Origin, fitted_on
from emafusion.config.load import address, environment, secret
from emafusion.config.policies import DEFAULT, Make, Policies
from emafusion.config.sessions import Sessions
from emafusion.config.settings import (
    BridgeProviderSettings,
    JudgeSettings,
    LearnSettings,
    LocalProviderSettings,
    ModelSettings,
    NamedPolicySettings,
    OpenAIProviderSettings,
    ProviderSettings,
    RecordSettings,
    ReplayProviderSettings,
    Settings,
    UnderstandSettings,
    written,
)
from emafusion.config.study import Study
from emafusion.engine import Engine, Stages
from emafusion.errors import ArtefactError, ConfigError
from emafusion.execute.hedging import Hedging
from emafusion.judge import Bench, CalibratedPanel
from emafusion.learn.online import Terms
from emafusion.plan import Dial, FittedRule, Lookahead, Signals, UtilityPlanner
from emafusion.plan.combining import FittedCombiner
from emafusion.plan.floor import FloorPlanner
from emafusion.predict import Fitted, Union
from emafusion.protect import VisibilityProtector
from emafusion.protocols import Encoder, Panel, Predictor, Provider, Recorder, Splitter
from emafusion.types import Knobs, Model
from emafusion.understand import Blend, FastClassifier, Mixture, SlowClassifier, Taxonomy
from emafusion.understand.splitting import EitherSplitter, FastSplitter, SlowSplitter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emafusion.protect.shield import Shield
    from emafusion.record import Store


def build(
    settings: Settings,
    *,
    parts: Mapping[str, Provider] | None = None,
    arrivals: Arrivals | None = None,
) -> Client:
    """A client as `settings` describe it.

    Parameters
    ----------
    settings : Settings
        What :func:`emafusion.config.load` read.
    parts : mapping of str to Provider, optional
        Providers that stand in for configured ones of the same name, or join them.
    arrivals : Arrivals, optional
        Models that cannot answer yet; they are asked only where no other may answer.

    Raises
    ------
    ConfigError
        A setting names something that is not there, or an extra is not installed.
    ArtefactError
        The fitted policy cannot be read.
    """
    made = {**_resilient(settings, without=tuple(parts or ())), **(parts or {})}
    models = [model(name, one, made) for name, one in settings.models.items()]
    _check_named(settings, models)
    explorer = _explorer(settings)
    masking = _masking(settings)
    kept = recorder(settings.record)
    checks = _checks(settings.learn, models, made=made, kept=kept)
    make = _maker(settings, models, kept=kept, arrivals=arrivals, beside=(explorer, checks))
    place = settings.artefact.path
    folder = None if place is None else Path(place).expanduser()
    if folder is None or not is_one(folder):
        stages = make(_alone(folder))
        study = Study(lambda: (stages,), explorer, checks=checks)
        beat = Beat([study.read_on, *_sweeps(settings.record, kept)], told=study.status)
        engine = _engine(settings, stages, models=models, made=made)
        return Client(engine, beside=beat, shield=masking)
    policies = Policies(artefacts.Versions(folder), make, default=shipped())
    engine = _engine(settings, policies.stages, models=models, made=made)
    engine.policies = policies
    study = Study(lambda: policies.every, explorer, checks=checks)
    sweeps = _sweeps(settings.record, kept)
    beat = Beat([policies.refresh, study.read_on, *sweeps], told=study.status)
    return Client(engine, beside=beat, shield=masking)


def _sweeps(one: RecordSettings, kept: Recorder) -> list[Callable[[], object]]:
    """What deletes decisions that are too old, where they are not kept for good."""
    from emafusion.record import Retention, Store

    if one.keep_days is None or not isinstance(kept, Store):
        return []
    return [Retention(kept, one.keep_days).sweep]


def _masking(settings: Settings) -> Shield | None:
    if settings.protect is None:
        return None
    # Here: who does not ask for it need not wait for all its patterns.
    from emafusion.config.protection import shield

    return shield(settings.protect)


def _alone(folder: Path | None) -> Origin:
    """The one policy of `folder`, or the shipped one, to which all of a record is news."""
    if folder is None:
        return Origin(name=DEFAULT, artefact=shipped())
    found = artefacts.read(folder)
    return Origin(name=DEFAULT, artefact=found, since=fitted_on(found))


def _maker(
    settings: Settings,
    models: Sequence[Model],
    *,
    kept: Recorder,
    arrivals: Arrivals | None,
    beside: tuple[BoundedExplorer | None, SampledChecks | None],
) -> Make:
    """What turns a fitted policy into stages; all of them keep one record and one encoder."""
    explorer, checks = beside
    proved = _prover(settings.judge)
    shared = encoders.Remembered(encoders.default())

    sessions = Sessions(SystemClock())

    def make(origin: Origin) -> Stages:
        policy = origin.artefact
        encoder = _checked(shared, policy)
        learning = partial(_predictor, settings.learn, origin, diary=kept)
        stages = _stages(
            settings, policy, encoder=encoder, models=models, recorder=kept, predicting=learning
        )
        stages = replace(
            stages,
            panel=proved(stages.panel),
            explorer=explorer,
            checker=checks,
            dialogues=sessions,
            policy=origin.name,
        )
        if arrivals is not None:
            stages = replace(stages, protector=ReadyFirst(stages.protector, arrivals))
        return stages

    return make


def _predictor(
    one: LearnSettings, origin: Origin, fitted: Fitted | None, *, diary: Recorder
) -> Predictor:
    """What learns on from a fitted policy, where there is a record on disk to learn from."""
    from emafusion.record import Store

    asked = one.feedback or one.drift
    known = "penalty" in origin.artefact.manifest.settings
    if fitted is None or not (asked and known and isinstance(diary, Store)):
        return Union(fitted)
    return Learner(origin, fitted, diary, feedback=one.feedback, drift=one.drift)


def _explorer(settings: Settings) -> BoundedExplorer | None:
    """What tries other models now and then, where a share of the requests was given for it."""
    one = settings.learn
    if not one.explore:
        return None
    terms = Terms(share=one.explore, budget=one.explore_budget, max_usd=one.explore_usd)
    return BoundedExplorer(terms, usual=_knobs(settings.policy))


def _checks(
    one: LearnSettings,
    models: Sequence[Model],
    *,
    made: Mapping[str, Provider],
    kept: Recorder,
) -> SampledChecks | None:
    """What has answers judged anew now and then, where a share of them was given for it.

    Refused where nobody would learn from it: each check is paid for.
    """
    if not one.check:
        return None
    _check_taught(one, kept)
    return SampledChecks(
        CheckTerms(share=one.check, budget=one.check_budget, max_usd=one.check_usd),
        models=catalog.Catalog(models),
        providers=made,
        clock=SystemClock(),
        recorder=kept,
    )


def _check_taught(one: LearnSettings, kept: Recorder) -> None:
    """Checks are read in the record, by who looks out for models that have changed."""
    from emafusion.record import Store

    if not one.drift:
        raise ConfigError(
            f"learn.check is {one.check:g}, but learn.drift is false, so nothing would be learnt "
            "from checks; set learn.drift to true, or learn.check to 0"
        )
    if not isinstance(kept, Store) or not kept.store_content:
        raise ConfigError(
            f"learn.check is {one.check:g}, but the record keeps no texts, so nothing would be "
            "learnt from checks; set record.path to a file or a database and record.content to "
            "true, or learn.check to 0"
        )


def _engine(
    settings: Settings, stages: Stages, *, models: Sequence[Model], made: Mapping[str, Provider]
) -> Engine:
    one = settings.policy
    engine = Engine(stages, models, providers=made, clock=SystemClock(), knobs=_knobs(one))
    engine.named = {name: _knobs(each) for name, each in settings.policies.items()}
    if one.hedge:
        engine.hedging = Hedging(after_s=one.hedge_after_s)
    return engine


def replaying(
    policy: artefacts.Artefact, models: Sequence[Model], parts: Mapping[str, Provider]
) -> Engine:
    """The engine that would serve `policy`, over `parts`; it keeps its records in memory."""
    settings = Settings(record=RecordSettings(path="memory"))
    encoder = _checked(encoders.Remembered(encoders.default()), policy)
    stages = _stages(
        settings, policy, encoder=encoder, models=models, recorder=recorder(settings.record)
    )
    return Engine(stages, models, providers=parts, clock=SystemClock())


def shipped() -> artefacts.Artefact:
    """The fitted policy that ships with emafusion."""
    with resources.as_file(resources.files("emafusion.config").joinpath("policy")) as folder:
        return artefacts.read(folder)


def diary(one: RecordSettings) -> Store:
    """The record to learn from; raises :class:`ConfigError` where it keeps nothing to learn."""
    from emafusion.record import Store

    found = recorder(one)
    if not isinstance(found, Store) or not one.content:
        raise ConfigError(
            "the record keeps no texts, so there is nothing to learn from it; "
            "set record.path to a file or a database, and record.content to true"
        )
    return found


def providers(settings: Settings, *, without: Sequence[str] = ()) -> dict[str, Provider]:
    """The configured providers, less those named in `without`; none of them connects yet."""
    return {
        name: _provider(one, name)
        for name, one in settings.providers.items()
        if name not in without
    }


def _resilient(settings: Settings, *, without: Sequence[str] = ()) -> dict[str, Provider]:
    """The configured providers, those of vendors with breakers and a bulkhead around them."""
    from emafusion.providers.resilience import Terms, resilient

    made = providers(settings, without=without)
    for name in made:
        one = settings.providers[name]
        if isinstance(one, (OpenAIProviderSettings, BridgeProviderSettings)):
            terms = Terms(concurrent=one.concurrent, queue=one.queue, queue_s=one.queue_s)
            made[name] = resilient(made[name], terms)
    return made


def model(name: str, one: ModelSettings, made: Mapping[str, Provider]) -> Model:
    """The model `name` as its settings and the catalog's data describe it."""
    if one.provider not in made:
        known = ", ".join(sorted(made)) or "none"
        raise ConfigError(
            f"models.{name}.provider is {one.provider!r}, but the configured providers are: {known}"
        )
    base_url = getattr(made[one.provider], "base_url", None)
    return catalog.resolve(
        name, one.provider, upstream=one.upstream, base_url=base_url, **written(one)
    )


def _provider(one: ProviderSettings, name: str) -> Provider:
    """The provider that a ``type`` tag stands for."""
    key = f"providers.{name}.api_key"
    match one:
        case OpenAIProviderSettings():
            from emafusion.providers.openai import OpenAIProvider

            return OpenAIProvider(
                one.base_url, api_key=secret(one.api_key, key), stall_s=one.stall_s
            )
        case BridgeProviderSettings():
            from emafusion.providers.bridge import BridgeProvider

            return BridgeProvider(
                one.vendor, api_key=secret(one.api_key, key), base_url=one.base_url
            )
        case LocalProviderSettings():
            from emafusion.providers.local import LocalProvider
            from emafusion.providers.weights import Weights

            cache = None if one.cache is None else Path(one.cache).expanduser()
            weights = Weights(cache=cache, environment=environment())
            return LocalProvider(weights=weights, threads=one.threads, slots=one.slots)
        case ReplayProviderSettings():
            from emafusion.providers.replay import ReplayProvider

            return ReplayProvider(Path(one.folder).expanduser())


def _stages(
    settings: Settings,
    policy: artefacts.Artefact,
    *,
    encoder: Encoder,
    models: Sequence[Model],
    recorder: Recorder,
    predicting: Callable[[Fitted | None], Predictor] = Union,
) -> Stages:
    fast = FastClassifier.from_arrays(policy.under("understand"), encoder)
    pool = policy.manifest.pool
    fitted = any(model.name in pool for model in models)
    judged = policy.under("judge") if fitted else {}
    planned = policy.under("plan") if fitted else {}
    rule = None
    panel: Panel = CalibratedPanel(judged, pool)
    if "council_members" in judged:
        panel = Bench.from_arrays(judged, pool, otherwise=panel)
        rule = FittedRule(
            _at_prices(Lookahead.from_arrays(planned, pool), planned, pool=pool, models=models),
            pool,
            usd_per_second=settings.policy.usd_per_second,
        )
    return Stages(
        protector=VisibilityProtector(),
        classifier=_classifier(settings, fast, policy),
        predictor=predicting(_fitted(policy, encoder, fast) if fitted else None),
        planner=FloorPlanner(
            UtilityPlanner(
                Signals.from_arrays(planned, pool) if "drop" in planned else Signals(),
                _dial(rule, pool, models),
                rule=rule,
                usd_per_second=settings.policy.usd_per_second,
            )
        ),
        panel=panel,
        recorder=recorder,
        rule=rule,
        splitter=_splitter(settings.understand),
        combiner=FittedCombiner.from_arrays(planned, usd_per_second=settings.policy.usd_per_second),
    )


def _prover(one: JudgeSettings) -> Callable[[Panel], Panel]:
    """What has a panel's drafts run, where that was asked for; refused where they cannot be.

    All policies share one judge: how many programs run at a time is bounded for the process.
    """
    if not one.run_code:
        return lambda panel: panel
    from emafusion.judge.execution import ExecutionJudge
    from emafusion.judge.proving import ProvingPanel
    from emafusion.judge.sandbox import Sandbox

    sandbox = Sandbox()
    try:
        sandbox.check()
    except ConfigError as refused:
        raise ConfigError(
            f"judge.run_code is true, but {refused}; without the setting drafts are judged unrun"
        ) from refused
    judge = ExecutionJudge(sandbox)
    return lambda panel: ProvingPanel(panel, judge)


def _splitter(one: UnderstandSettings) -> Splitter | None:
    """What finds the parts of composite prompts."""
    if not one.split:
        return None
    if one.split != "slow" or one.slow is None:
        return FastSplitter()
    return EitherSplitter(FastSplitter(), SlowSplitter(one.slow))


def recorder(one: RecordSettings) -> Recorder:
    """Where decisions go: SQLite's file (by default the user's own), PostgreSQL, or memory."""
    from emafusion.record import Memory, Store

    place = address(one.path, "record.path")
    if place == "memory":
        return Memory()
    if place is None:
        import platformdirs

        folder = Path(platformdirs.user_state_dir("emafusion"))
        return Store(folder / "decisions.sqlite3", store_content=one.content)
    return Store(place, store_content=one.content)


def _classifier(settings: Settings, fast: FastClassifier, policy: artefacts.Artefact) -> Blend:
    slow = settings.understand.slow
    if slow is None:
        return Blend(fast)
    mixture = Mixture.from_arrays(policy.under("understand"))
    return Blend(fast, SlowClassifier(slow, Taxonomy.load()), mixture=mixture)


def _fitted(policy: artefacts.Artefact, encoder: Encoder, fast: FastClassifier) -> Fitted:
    label_names: Mapping[str, Sequence[str]] = {
        axis: head.labels for axis, head in fast.heads.items()
    }
    return Fitted.from_arrays(
        policy.under("predict"), policy.manifest.pool, encoder=encoder, labels=label_names
    )


def _at_prices(
    rule: Lookahead,
    planned: Mapping[str, NDArray[np.generic]],
    *,
    pool: Sequence[str],
    models: Sequence[Model],
) -> Lookahead:
    """The rule at today's prices, where the fit noted those it saw."""
    import numpy as np

    ratios = np.ones(len(rule.members))
    if "prices" not in planned:
        return rule
    now = {one.name: (one.usd_per_mtok_in, one.usd_per_mtok_out) for one in models}
    for place, name in enumerate(rule.members):
        before = 1e6 * np.asarray(planned["prices"], dtype=np.float64)[:, pool.index(name)]
        if name in now and before[1] > 0.0:
            # An answer's tokens are most of a bill, as everywhere here: three parts in four.
            ratios[place] = (now[name][0] + 3 * now[name][1]) / (before[0] + 3 * before[1])
    return rule.repriced(ratios)


def _dial(rule: FittedRule | None, pool: Sequence[str], models: Sequence[Model]) -> Dial:
    """The fitted dial where every model is of its fit; else the unfitted one.

    What quality is worth in dollars was fitted too; it stays when a model's price changes.
    """
    if rule is None or any(model.name not in pool for model in models):
        return Dial()
    return Dial(prices=tuple(rule.lookahead.prices.tolist()))


def _checked(encoder: Encoder, policy: artefacts.Artefact) -> Encoder:
    """`encoder`, if it is the one that `policy` was fitted with."""
    if encoder.name != policy.manifest.encoder:
        raise ArtefactError(
            f"the policy was fitted with encoder {policy.manifest.encoder!r}, this installation "
            f"has {encoder.name!r}; fit it anew with: emafusion fit"
        )
    return encoder


def _knobs(policy: NamedPolicySettings) -> Knobs:
    return Knobs(
        prefer=policy.prefer,
        min_quality=policy.min_quality,
        max_cost_usd=policy.max_cost_usd,
        max_latency_s=policy.max_latency_s,
        models=policy.models,
        arrangement=policy.arrangement,
        private=policy.private,
    )


def _check_named(settings: Settings, models: Sequence[Model]) -> None:
    """Every model that a setting names is configured; and there is at least one."""
    known = [one.name for one in models]
    if not known:
        raise ConfigError("no model is configured; add a [models.NAME] table")
    tables: dict[str, NamedPolicySettings] = {"policy": settings.policy}
    tables |= {f"policies.{name}": one for name, one in settings.policies.items()}
    named = {
        f"{table}.models[{place}]": name
        for table, one in tables.items()
        for place, name in enumerate(one.models or ())
    }
    if settings.understand.slow is not None:
        named["understand.slow"] = settings.understand.slow
    for key, name in named.items():
        if name not in known:
            raise ConfigError(f"{key} names {name!r}; the models are {', '.join(known)}")
