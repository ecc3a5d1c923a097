"""Names of people, which have no form: found by a language's statistics, in Presidio.

Needs the extra ``privacy`` and a spaCy pipeline of the language. Slow by the standards of this
stage, and other people's code: it runs behind a :class:`~emafusion.protect.fence.Fence`.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from emafusion.errors import ConfigError, MissingExtraError
from emafusion.protect.entities import Entity
from emafusion.protect.fence import Fence
from emafusion.protect.recognisers.cues import Cues
from emafusion.protect.recognisers.plain import plain
from emafusion.protect.recognisers.reading import Reading
from emafusion.protect.recognisers.tables import tabled

PATH = "emafusion.protect.names:detector"
KIND = "PERSON"
"""What is looked for: a town or a country alone is nobody's."""
NEEDED = ("ner", "transformer")
"""What of a pipeline finds names; the rest takes two thirds of the time."""
_UP = r"[A-ZÀ-ÖØ-ÞŁŚŞŠŻŽČĆĐ]"
_PART = rf"(?:{_UP}\.|{_UP}[\w'’-]{{1,20}})"
TITLED = re.compile(
    r"\b(?:Mr|Mrs|Ms|Miss|Dr|Prof|Sir|Dear|Regards,|Sincerely,|Best,|Cheers,|Thanks,|[Nn]ame is"
    r"|[Ii] am|[Ii]'m|[Ss]igned(?: by)?:?|[Pp]atient:?|[Cc]lient:?|[Cc]ustomer:?|[Cc]olleague"
    r"|[Ee]mployee:|[Aa]ttn:?|[Cc]ontact(?: person)?:?|[Nn]ame:)\.?[ \n]"
    rf"(?P<value>(?:{_UP}\. ?){{0,2}}{_UP}[\w'’-]{{1,20}}"
    rf"(?: (?:{_PART}|de|van|von|der|bin|al)){{0,3}})"
)
"""Words that a name mostly follows, for names that no statistics knows."""
CUES = Cues(
    "customer$ client$ patient$ employee$ passenger$ tenant$ firstname lastname fullname surname"
    " givenname familyname customername clientname patientname employeename contactname cardholder$"
    " cardholdername accountholder recipientname sendername applicant$ first_name last_name"
    " full_name given_name family_name middle_name customer_name client_name patient_name"
    " employee_name contact_name cardholder_name account_holder recipient_name sender_name",
    "first name", "last name", "full name", "contact name", "customer name", "patient name",
)  # fmt: skip
"""Keys of people's names; a mere ``name`` is as often a thing's."""
VALUE = re.compile(
    r"[\"'`*_]{0,2}\s{0,2}(?:=>|[:=])\s{0,2}(?P<quote>[\"'`])"
    r"(?P<value>[^\"'`\n:;,@<>{}|]{2,60})(?P=quote)"
)
"""Only quoted values: what stands bare behind a key is as often a sentence or code."""
NAME = re.compile(
    rf"(?:{_UP}\. ?){{0,2}}{_UP}[^\W\d_][\w'’-]{{0,24}}"
    rf"(?: (?:{_PART}|de|van|von|der|bin|al|da|di)){{0,3}}"
)
NOBODY = ("none", "null", "unknown", "true", "false", "test", "string", "the", "new", "admin")


def fence(pipeline: str, *, language: str = "en", limit_s: float = 1.0) -> Fence:
    """The detector of names, in a process of its own.

    Raises
    ------
    MissingExtraError
        Presidio is not installed.
    ConfigError
        The spaCy pipeline is not installed.
    """
    if importlib.util.find_spec("presidio_analyzer") is None:
        raise MissingExtraError("presidio_analyzer", "privacy")
    if importlib.util.find_spec(pipeline) is None:
        raise ConfigError(
            f"the spaCy pipeline {pipeline!r} is not installed; see docs/protect.md for the names "
            "that there are"
        )
    options = {"pipeline": pipeline, "language": language}
    return Fence("names", PATH, options=options, limit_s=limit_s)


def detector(pipeline: str, language: str = "en") -> Callable[[str], Sequence[Entity]]:
    """Finds people with `pipeline`; loads it, which takes seconds."""
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NlpEngineProvider
    from presidio_analyzer.predefined_recognizers import SpacyRecognizer

    named = {
        "nlp_engine_name": "spacy",
        "models": [{"lang_code": language, "model_name": pipeline}],
        "ner_model_configuration": {
            "model_to_presidio_entity_mapping": {"PER": KIND, "PERSON": KIND},
            "labels_to_ignore": [
                "CARDINAL", "DATE", "EVENT", "FAC", "GPE", "LANGUAGE", "LAW", "LOC", "MISC",
                "MONEY", "NORP", "ORDINAL", "ORG", "PERCENT", "PRODUCT", "QUANTITY", "TIME",
                "WORK_OF_ART",
            ],
        },
    }  # fmt: skip
    registry = RecognizerRegistry(supported_languages=[language])
    registry.add_recognizer(SpacyRecognizer(supported_language=language, supported_entities=[KIND]))
    reader: Any = NlpEngineProvider(nlp_configuration=named).create_engine()
    parser = reader.nlp[language]
    parser.select_pipes(enable=[name for name in parser.pipe_names if name in NEEDED])
    engine: Any = AnalyzerEngine(
        registry=registry, nlp_engine=reader, supported_languages=[language]
    )

    def detect(text: str) -> Sequence[Entity]:
        found = engine.analyze(text=text, language=language, entities=[KIND])
        entities = [Entity(kind=KIND, start=one.start, end=one.end, score=0.5) for one in found]
        return [*entities, *titled(text), *keyed(text)]

    return detect


def titled(text: str) -> list[Entity]:
    """Names behind a title, or behind words that say whose name it is."""
    return [
        Entity(kind=KIND, start=found.start("value"), end=found.end("value"), score=0.45)
        for found in TITLED.finditer(text)
    ]


def keyed(text: str) -> list[Entity]:
    """Names behind a key, or under a head, that says that a person's name stands there."""
    said, back = plain(text)
    spans = [(one.start, one.end) for one in told(Reading(said))]
    if back is not None:
        spans = [back(start, end) for start, end in spans]
    return [Entity(kind=KIND, start=start, end=end, score=0.45) for start, end in spans]


def told(reading: Reading) -> Iterator[Entity]:
    """The names behind keys, and under heads of columns."""
    yield from tabled(reading, ((KIND, CUES, is_name),))
    for place in CUES.ends(reading):
        found = VALUE.match(reading.text, place)
        if found is not None and is_name(found["value"]):
            yield Entity(kind=KIND, start=found.start("value"), end=found.end("value"), score=0.45)


def is_name(said: str) -> bool:
    """Whether `said` has the form of a person's name: one to four words with capitals."""
    return NAME.fullmatch(said) is not None and said.partition(" ")[0].lower() not in NOBODY
