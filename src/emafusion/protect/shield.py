"""Stage 1 as a whole: a request goes in, what anything after it may see comes out.

Everything after this stage sees masked text alone: models, judges, caches, record, logs, traces.
Knows in which order it is done, and that what fails is taken for the worst. It knows no model: who
may see what is left is :class:`~emafusion.protect.visibility.VisibilityProtector`'s to say.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial

from msgspec import Struct

from emafusion.errors import RequestError
from emafusion.protect import foreign, forms, injection, masking, texts
from emafusion.protect.beside import Digits
from emafusion.protect.entities import LITERAL, Detector, Entity, sound
from emafusion.protect.fence import Fence, allowed_s
from emafusion.protect.lanes import Lanes
from emafusion.protect.placeholders import ANY, Mint
from emafusion.protect.rules import Rules
from emafusion.protect.structured import Structured
from emafusion.protect.vault import Vault
from emafusion.types import (
    DataClass,
    Findings,
    Message,
    Request,
    content_text,
    highest,
    replace,
)

NOTHING = Request(id="", messages=())


class Protected(Struct, frozen=True, kw_only=True):
    """What anything after the stage may see, what it was, and what brings values back."""

    request: Request
    vault: Vault
    findings: Findings


class _Seen(Struct, frozen=True, kw_only=True):
    """What there was in a request: how many values of which kinds, and what else is known of it."""

    masked: Mapping[str, int]
    allowed: Mapping[str, int]
    failed: tuple[str, ...]
    attack: float
    unread: bool
    private_before: bool


class Shield:
    """Masks requests and classes them.

    Parameters
    ----------
    mint : Mint
        Makes the placeholders.
    detectors : sequence of Detector
        What finds values; one that can hang stands behind a
        :class:`~emafusion.protect.fence.Fence`.
    rules : Rules
        What is done about what they find.
    """

    def __init__(self, mint: Mint, detectors: Sequence[Detector], *, rules: Rules) -> None:
        self._mint = mint
        self._detectors = tuple(detectors)
        self._rules = rules
        self._fences = tuple(one for one in detectors if isinstance(one, Fence))
        self._lanes = Lanes()
        self._begun = False
        self._turn = asyncio.Lock()

    @property
    def down(self) -> tuple[str, ...]:
        """The detectors that would not answer now."""
        return tuple(one.name for one in self._fences if not one.up)

    async def begin(self) -> None:
        """Have every detector up; the first request does, if nobody did before.

        Raises :class:`~emafusion.errors.ConfigError` where one does not come up.
        """
        async with self._turn:
            if not self._begun:
                await asyncio.gather(*(one.begin() for one in self._fences))
                self._begun = True

    async def aclose(self) -> None:
        """End the detectors' processes."""
        for one in self._fences:
            await one.aclose()
        self._lanes.close()

    async def masked(self, *said: str, scope: str = "") -> tuple[str, ...]:
        """The texts `said` as anything that keeps them may: nobody is to read them.

        Where no text may be kept each is one placeholder: the same text has the same.
        """
        if not any(said):
            return said
        messages = tuple({"role": "user", "content": text} for text in said)
        found = await self.protect(Request(id="", messages=messages), scope=scope)
        if found.findings.untold:
            return tuple(text and found.vault.quote(text) for text in said)
        return tuple(content_text(message) for message in found.request.messages)

    def quoted(self, text: str, *, scope: str = "") -> str:
        """The placeholder of the whole `text`; nothing for nothing."""
        return text and Vault(self._mint, scope).quote(text)

    async def protect(
        self,
        request: Request,
        *,
        scope: str = "",
        stated: Sequence[DataClass] = (),
        earlier: Sequence[Message] = (),
    ) -> Protected:
        """`request` as all others see it.

        Parameters
        ----------
        request : Request
            As it came.
        scope : str
            Within which a value has one placeholder: whose data it is.
        stated : sequence of str
            The classes that its key and its header give it.
        earlier : sequence of mapping
            Those of its messages that were kept as they were masked then: placeholders in them are
            placeholders. What else is in them is read anew: a model said it, or other rules held.

        Raises
        ------
        RequestError
            A document in it reads like an attack, where the rules refuse those; or it is nested
            too deep.
        """
        if not self._begun:
            await self.begin()
        before = frozenset(texts.texts(replace(NOTHING, messages=tuple(earlier))))
        strings = texts.strings(request)
        named = texts.legible(strings)
        said = list(named)
        detected, failed = await self._detected(named)
        taken, allowed = self._sorted(detected)
        vault = Vault(self._mint, scope)
        work = partial(_masked, said, taken, before, vault=vault)
        told, counted = await self._lanes.run(sum(map(len, said)), work)
        brought = list(foreign.documents(request))
        scored = partial(injection.highest, brought)
        seen = _Seen(
            masked=Counter(one.kind for one in counted),
            allowed=Counter(one.kind for one in allowed),
            failed=failed,
            attack=await self._lanes.run(sum(map(len, brought)), scored),
            unread=texts.unread(request, strings),
            private_before=self._private_before(said),
        )
        findings = self._findings(request, seen, stated)
        clean = _changed(request, told, vault, untold=findings.untold)
        if vault.has_numbers:
            vault.expect(forms.spoken(clean.params))
        knobs = replace(request.knobs, private=findings.private)
        clean = replace(clean, knobs=knobs, protection=findings)
        return Protected(request=clean, vault=vault, findings=findings)

    def _findings(self, request: Request, seen: _Seen, stated: Sequence[DataClass]) -> Findings:
        """What comes of what was `seen`; raises :class:`RequestError` where that is a refusal."""
        rules = self._rules
        suspect = seen.attack >= rules.injection_at
        if suspect and rules.injection == "refuse":
            raise RequestError(
                "a document or tool result here reads like orders to the model; take it out",
                "messages",
            )
        worst = (
            bool(seen.failed)
            or any(rules.deed(kind) == "private" for kind in seen.masked)
            or seen.private_before
            or (seen.unread and rules.unread == "private")
            or (suspect and rules.injection == "private")
        )
        data_class = highest(rules.usual, *stated, *(("restricted",) if worst else ()))
        return Findings(
            data_class=data_class,
            private=worst or rules.private(data_class) or request.knobs.private,
            masked=dict(seen.masked),
            allowed=dict(seen.allowed),
            failed=seen.failed,
            injection=seen.attack,
            unread=seen.unread,
            seal=self._mint.seal,
        )

    def _private_before(self, said: Sequence[str]) -> bool:
        """Whether a value of a kind for private models stood in `said` before it was masked."""
        rules = self._rules
        if rules.others != "private" and "private" not in rules.kinds.values():
            return False
        kinds = {one[0][1:].partition("_")[0] for text in said for one in ANY.finditer(text)}
        return any(rules.deed(kind) == "private" for kind in kinds - {LITERAL})

    def _sorted(
        self, detected: Sequence[Sequence[Entity]]
    ) -> tuple[list[list[Entity]], list[Entity]]:
        """What is to be taken out of each text, and what is allowed in any."""
        may = {one.kind for some in detected for one in some}
        may = {kind for kind in may if self._rules.deed(kind) == "allow"}
        taken = [[one for one in some if one.kind not in may] for some in detected]
        return taken, [one for some in detected for one in some if one.kind in may]

    async def _detected(
        self, named: Mapping[str, Iterable[str]]
    ) -> tuple[list[list[Entity]], tuple[str, ...]]:
        """The entities in each of the texts `named`, and the detectors that failed."""
        said, places = masking.readings(named)
        whole = masking.joined(said)
        asked = (self._ask(one, whole) for one in self._detectors)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        work = partial(_parted, answers, said, whole=whole, places=places)
        told = await self._lanes.run(len(whole), work)
        names = (one.name for one in self._detectors)
        failed = tuple(name for name, right in zip(names, told[1], strict=True) if not right)
        return told[0], failed

    async def _ask(self, detector: Detector, text: str) -> Sequence[Entity]:
        if isinstance(detector, Fence):
            return await detector.detect(text)  # its own limit is for each text in its turn
        if isinstance(detector, Structured):
            # It takes time in proportion to the text, and waits for its turn: it is never late.
            return await self._lanes.run(len(text), partial(detector.found, text))
        async with asyncio.timeout(allowed_s(self._rules.limit_s, len(text))):
            return await detector.detect(text)


def _parted(
    answers: Sequence[Sequence[Entity] | BaseException],
    said: Sequence[str],
    *,
    whole: str,
    places: Sequence[tuple[int, int]],
) -> tuple[list[list[Entity]], list[bool]]:
    """The entities in each text by all `answers` that can be true of the `whole`, and which can."""
    right = [not isinstance(one, BaseException) and sound(one, whole) for one in answers]
    found = [
        entity
        for answer, good in zip(answers, right, strict=True)
        if good and not isinstance(answer, BaseException)
        for entity in answer
    ]
    return masking.gathered(masking.parted(found, said), places), right


def _masked(
    said: Sequence[str], taken: Sequence[Sequence[Entity]], before: Collection[str], *, vault: Vault
) -> tuple[dict[str, str], list[Entity]]:
    """The texts `said` without what is to be `taken` out of each, and what that was."""
    standing = [
        masking.standing(some, text, earlier=text in before)
        for text, some in zip(said, taken, strict=True)
    ]
    told = masking.masked(said, masking.spread(standing, said), vault, earlier=before)
    return told, [one for some in standing for one in some]


def _changed(request: Request, told: Mapping[str, str], vault: Vault, *, untold: bool) -> Request:
    """`request` with what is `told` in place of its texts; `untold`, without its caller's name."""

    def change(text: str) -> str:
        known = told.get(text, text)
        return vault.as_number(known) if isinstance(text, Digits) else known

    clean = texts.changed(request, change)
    if untold and request.caller:
        return replace(clean, caller=vault.quote(request.caller))
    return clean
