"""Outcomes to record: one plain maker, and Hypothesis strategies over everything one may hold."""

from __future__ import annotations

from hypothesis import strategies as st

from emafusion.types import (
    Cascade,
    Estimate,
    Forecast,
    Fusion,
    Labels,
    Outcome,
    Plan,
    Single,
    Step,
    Tier,
    Usage,
    Verdict,
)


def outcome(decision_id: str, *, created: float = 1.0, error: str | None = None) -> Outcome:
    """A cascade that asked a small model, did not trust it, and asked a larger one."""
    return Outcome(
        decision_id=decision_id,
        created=created,
        prompt="What is 17 × 3?",
        labels=Labels(axes={"task": {"mathematical_reasoning": 1.0}}, familiarity=0.5),
        forecast=Forecast(
            estimates=(
                Estimate(model="s", quality=0.5, quality_std=0.1, cost_usd=0.001, latency_s=0.1),
            )
        ),
        plan=Plan(
            arrangement=Cascade(
                tiers=(Tier(models=("s",), accept=0.8), Tier(models=("l",), accept=0.0))
            ),
            quality=0.9,
            cost_usd=0.003,
            latency_s=1.0,
        ),
        steps=(
            Step(
                model="s",
                purpose="draft",
                cost_usd=0.001,
                latency_s=0.1,
                usage=Usage(prompt_tokens=10, completion_tokens=5),
                text="41",
            ),
            Step(
                model="l",
                purpose="draft",
                cost_usd=0.002,
                latency_s=0.3,
                usage=Usage(prompt_tokens=12, completion_tokens=7),
                text="51",
            ),
        ),
        verdicts=(Verdict(judge="rules", draft=0, score=0.4, reason="'41' is a number"),),
        model="l",
        text="51",
        confidence=0.93,
        cost_usd=0.003,
        latency_s=0.4,
        tier=1,
        error=error,
    )


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
names = st.text("abcdefgh-/.0123456789", min_size=1, max_size=12)
amounts = st.floats(min_value=0, max_value=1e6, allow_nan=False)
probabilities = st.floats(min_value=0, max_value=1)
counts = st.integers(min_value=0, max_value=2**70)
panels = st.lists(names, min_size=1, max_size=3).map(tuple)
arrangements = st.one_of(
    st.builds(Single, model=names),
    st.builds(
        Cascade,
        tiers=st.lists(
            st.builds(
                Tier, models=panels, accept=probabilities, judge=st.none() | names, band=amounts
            ),
            min_size=1,
            max_size=3,
        ).map(tuple),
    ),
    st.builds(Fusion, panel=panels),
)
outcomes = st.builds(
    Outcome,
    decision_id=names,
    created=amounts,
    prompt=texts,
    labels=st.builds(
        Labels,
        axes=st.dictionaries(
            st.sampled_from(["task", "domain"]),
            st.dictionaries(names, probabilities, max_size=2),
            max_size=2,
        ),
        familiarity=probabilities,
    ),
    forecast=st.builds(
        Forecast,
        estimates=st.lists(
            st.builds(
                Estimate,
                model=names,
                quality=probabilities,
                quality_std=amounts,
                cost_usd=amounts,
                latency_s=amounts,
                tokens=amounts,
            ),
            max_size=2,
        ).map(tuple),
        gate=probabilities,
    ),
    plan=st.none()
    | st.builds(
        Plan,
        arrangement=arrangements,
        quality=probabilities,
        cost_usd=amounts,
        latency_s=amounts,
        fallbacks=st.lists(names, max_size=2).map(tuple),
        max_cost_usd=st.none() | amounts,
        reason=texts,
    ),
    steps=st.lists(
        st.builds(
            Step,
            model=names,
            purpose=st.sampled_from(["draft", "judge", "label"]),
            cost_usd=amounts,
            latency_s=amounts,
            usage=st.builds(Usage, prompt_tokens=counts, completion_tokens=counts),
            error=st.none() | texts,
            text=texts,
        ),
        max_size=3,
    ).map(tuple),
    verdicts=st.lists(
        st.builds(
            Verdict,
            judge=names,
            draft=st.integers(0, 5),
            score=st.none() | probabilities,
            reason=texts,
        ),
        max_size=3,
    ).map(tuple),
    model=names,
    text=texts,
    confidence=probabilities,
    cost_usd=amounts,
    latency_s=amounts,
    finish_reason=names,
    tier=st.integers(0, 5),
    error=st.none() | texts,
)
