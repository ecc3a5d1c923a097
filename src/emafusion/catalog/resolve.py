"""One model from what a user wrote of it and what is known of it already.

What the user wrote wins; then the shipped local models; then public price lists. It does not know
where the user wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from emafusion.catalog.models import CAPABILITIES, local_models, nearest
from emafusion.catalog.prices import listed
from emafusion.errors import ConfigError
from emafusion.types import Model

LISTED = ("usd_per_mtok_in", "usd_per_mtok_out", "context_window")
COMPLETION_BOUND = re.compile(r"(?:^|/)(?:gpt-5|o[134](?![a-z0-9]))")
"""The public names of models that refuse ``max_tokens`` and take ``max_completion_tokens``."""


def resolve(
    name: str,
    provider: str,
    *,
    upstream: str | None = None,
    base_url: str | None = None,
    **written: object,
) -> Model:
    """The model `name`, asked through `provider`.

    Parameters
    ----------
    name : str
        Its name in the catalog.
    provider : str
        The configured provider's name.
    upstream : str, optional
        Its name there; by default a shipped local model's own, else `name`.
    base_url : str, optional
        The provider's address, which says whose price list applies.
    **written
        Further fields of :class:`~emafusion.types.Model`, as the user wrote them.

    Raises
    ------
    ConfigError
        A field is unknown or of the wrong type, or nobody knows the price.
    """
    known = {model.name: model for model in local_models(provider)}.get(name)
    fields: dict[str, object] = {}
    if known is not None and upstream in {None, known.upstream}:
        fields = msgspec.structs.asdict(known)
    fields |= {"name": name, "provider": provider}
    fields["upstream"] = upstream or fields.get("upstream") or name
    if COMPLETION_BOUND.search(str(fields["upstream"])):
        fields["bound"] = "max_completion_tokens"
    fields |= written
    fields["declared"] = "capabilities" in fields
    if any(field not in fields for field in LISTED):
        fields = _public(str(fields["upstream"]), base_url, written) | fields
    _check(name, fields)
    return _converted(name, fields)


def _public(
    upstream: str, base_url: str | None, written: Mapping[str, object]
) -> dict[str, object]:
    """What public price lists say of `upstream`.

    The other listed prices belong to those of the prompt and the answer: where the user wrote
    either, they are left out.
    """
    listing = listed(upstream, base_url=base_url)
    if listing is None:
        return {}
    fields = {k: v for k, v in msgspec.structs.asdict(listing).items() if v is not None}
    if "usd_per_mtok_in" in written or "usd_per_mtok_out" in written:
        return {name: fields[name] for name in LISTED if name in fields}
    return fields


def _check(name: str, fields: Mapping[str, object]) -> None:
    for field in fields:
        if field not in Model.__struct_fields__:
            raise ConfigError(
                f"the model {name!r} has the unknown setting {field!r}; "
                f"{nearest(field, Model.__struct_fields__)}"
            )
    missing = [field for field in LISTED[:2] if field not in fields]
    if missing:
        raise ConfigError(
            f"nobody lists a price for the model {name!r}; write {' and '.join(missing)} (US "
            f"dollars per million tokens, 0 if it costs nothing) under [models.{name!r}]"
        )
    capabilities = fields.get("capabilities", ())
    for word in capabilities if isinstance(capabilities, (list, tuple, set, frozenset)) else ():
        if word not in CAPABILITIES:
            raise ConfigError(
                f"the model {name!r} has the unknown capability {word!r}; "
                f"{nearest(str(word), sorted(CAPABILITIES))}"
            )


def _converted(name: str, fields: Mapping[str, object]) -> Model:
    try:
        model = msgspec.convert(fields, Model)
    except msgspec.ValidationError as error:
        raise ConfigError(f"the model {name!r} has a setting of the wrong type: {error}") from None
    prices = [
        getattr(model, name) or 0.0 for name in Model.__struct_fields__ if name.startswith("usd_")
    ]
    if min(prices) < 0 or model.context_window <= 0 or model.max_output <= 0:
        raise ConfigError(
            f"the model {name!r} has a price below 0, or a context_window or max_output below 1"
        )
    return model
