"""Stage 1 as a whole: a request goes in, what anything after it may see comes out.

Everything after this stage sees masked text alone: models, judges, caches, record, logs, traces.
Knows in which order it is done, and that what fails is taken for the worst. It knows no model: who
may see what is left is :class:`~emafusion.protect.visibility.VisibilityProtector`'s to say.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from emafusion.errors import RequestError
from emafusion.protect import injection, masking, texts
from emafusion.protect.entities import Detector, Entity, apart, sound
from emafusion.protect.fence import Fence
from emafusion.protect.placeholders import Mint
from emafusion.protect.rules import Rules
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

    async def masked(self, *said: str, scope: str = "") -> tuple[str, ...]:
        """The texts `said` as anything that keeps them may: nobody is to read them.

        Where a detector fails each is one placeholder: the same text has the same.
        """
        if not any(said):
            return said
        messages = tuple({"role": "user", "content": text} for text in said)
        found = await self.protect(Request(id="", messages=messages), scope=scope)
        if found.findings.failed:
            return tuple(text and found.vault.quote(text) for text in said)
        return tuple(content_text(message) for message in found.request.messages)

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
            Those of its messages that were masked before: placeholders in them are placeholders.

        Raises
        ------
        RequestError
            A document in it reads like an attack, where the rules refuse those; or it is nested
            too deep.
        """
        if not self._begun:
            await self.begin()
        before = frozenset(texts.texts(replace(NOTHING, messages=tuple(earlier))))
        said = [text for text in texts.texts(request) if text not in before]
        entities, failed = await self._detected(said)
        taken = [one for one in entities if self._rules.deed(one.kind) != "allow"]
        vault = Vault(self._mint, scope)
        every = [*said, *before]
        found = masking.spread([*masking.parted(taken, said), *([] for _ in before)], every)
        told = masking.masked(every, found, vault, earlier=before)
        standing = apart(taken)
        allowed = [one for one in entities if self._rules.deed(one.kind) == "allow"]
        findings = self._findings(request, (standing, allowed), failed=failed, stated=stated)
        clean = texts.changed(request, lambda text: told.get(text, text))
        if failed and request.caller:
            clean = replace(clean, caller=vault.quote(request.caller))
        knobs = replace(request.knobs, private=findings.private)
        clean = replace(clean, knobs=knobs, protection=findings)
        return Protected(request=clean, vault=vault, findings=findings)

    def _findings(
        self,
        request: Request,
        found: tuple[Sequence[Entity], Sequence[Entity]],
        *,
        failed: tuple[str, ...],
        stated: Sequence[DataClass],
    ) -> Findings:
        """What it comes to that values were `found`, those masked and those allowed.

        Raises :class:`RequestError` where that is a refusal.
        """
        rules = self._rules
        attack = injection.highest(texts.documents(request))
        suspect = attack >= rules.injection_at
        if suspect and rules.injection == "refuse":
            raise RequestError(
                "a tool result in this request reads like orders to the model; take it out",
                "messages",
            )
        unread = texts.unread(request)
        masked, allowed = (Counter(one.kind for one in some) for some in found)
        worst = (
            bool(failed)
            or any(rules.deed(kind) == "private" for kind in masked)
            or (unread and rules.unread == "private")
            or (suspect and rules.injection == "private")
        )
        data_class = highest(rules.usual, *stated, *(("restricted",) if worst else ()))
        return Findings(
            data_class=data_class,
            private=worst or rules.private(data_class) or request.knobs.private,
            masked=dict(masked),
            allowed=dict(allowed),
            failed=failed,
            injection=attack,
            unread=unread,
        )

    async def _detected(self, said: Sequence[str]) -> tuple[list[Entity], tuple[str, ...]]:
        """All entities in `said`, and the detectors that failed."""
        whole = masking.joined(said)
        asked = (self._ask(one, whole) for one in self._detectors)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        entities: list[Entity] = []
        failed = []
        for detector, answer in zip(self._detectors, answers, strict=True):
            if isinstance(answer, BaseException) or not sound(answer, whole):
                failed.append(detector.name)
            else:
                entities.extend(answer)
        return entities, tuple(failed)

    async def _ask(self, detector: Detector, text: str) -> Sequence[Entity]:
        async with asyncio.timeout(self._rules.limit_s):
            return await detector.detect(text)
