"""What texts say that give orders to the model which reads them: the signs, and each one's weight.

A sign is a wording made of words that stand for each other: what is to be set aside, who is spoken
to, what shall be kept from whom. Knows wordings in eleven languages and nothing of what follows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple


class Sign(NamedTuple):
    """A wording that orders have, and how far it alone shows that there is one.

    A text that has the wording has a word of each of ``needs``; one without is not searched. A
    `quotable` sign counts less where it is quoted as an example.
    """

    name: str
    weight: float
    pattern: re.Pattern[str]
    needs: tuple[frozenset[str], ...]
    quotable: bool = True


_ATOMS = re.compile(r"\\.|\[\^?(?:\\.|[^\]\\])*\]| ", re.DOTALL)
"""Escapes, sets and blanks of a pattern: a blank within a set stands for itself alone."""


def _sign(name: str, weight: float, *, pattern: str, needs: str, quotable: bool = True) -> Sign:
    """A sign whose `needs` stand apart by ";"; a blank in `pattern` is a new line as well."""
    loose = _ATOMS.sub(lambda one: r"[ \n]" if one[0] == " " else one[0], pattern)
    words = tuple(frozenset(some.split()) for some in needs.split(";"))
    return Sign(name, weight, re.compile(loose, re.MULTILINE), words, quotable)


_NEAR = r"[^.!?]{0,40}?"
_FAR = r"[^.!?]{0,80}?"
_WIDE = r"[^!?\n]{0,90}?"
_DROP = (
    r"(?:ignor(?:e|ing)|disregard(?:ing)?|forget|override|overwrite|bypass|circumvent"
    r"|(?:set|put|leave|lay|cast|push) aside|discard|abandon|drop|skip|neglect|dismiss|abort"
    r"|never ?mind|erase|delete|(?:pay|give) no (?:attention|heed) to|unlearn|suspend"
    r"|(?:do not|don'?t|never|stop|cease|quit|no longer) (?:follow|obey|adher|comply|execut|apply"
    r"|listen|do|honou?r)\w*(?: (?:to|with|what))?)"
)
_EARLIER = (
    r"(?:previous(?:ly)?|prior|above|earlier|preceding|former|foregoing|original(?:ly)?|initial"
    r"|existing|old|current|past|so far|up to here|before (?:this|now)|you(?:'ve| have| had) been"
    r"|you were|were given|was given)"
)
_ORDERS = (
    r"(?:instruction|prompt|rule|direction|directive|order|guideline|guidance|guardrail|constraint"
    r"|restriction|command|task|programming|polic(?:y|ies)|limitation|configuration|training)s?"
)
_WHOSE = r"(?:your|the (?:system|developer|operator|user|assistant)(?:'?s)?|system|developer)"
_READER = (
    r"(?:(?:a\.?i\.?|llm|gpt|language[- ]model|chat ?bot|chatgpt|claude|gemini|copilot)s?"
    r"(?: (?:language )?(?:model|assistant|agent|system|reader|tool|bot|crawler|reviewer|grader"
    r"|summari[sz]er)s?)?"
    r"|(?:automated|virtual|digital) (?:assistant|reader|agent|screening)s?)"
)
_BOT = rf"(?:{_READER}|assistants?|models?|agents?|bots?)"
_READS = (
    r"(?:read|process|summari[sz]|pars|visit|handl|analy[sz]|quot|review|screen|see|com(?:e|es|ing)"
    r" across|index|crawl|edit|evaluat|encounter|load|access|ingest|scan)"
)
_PRIVATE = (
    r"(?:passwords?|credentials?|api[ _-]?keys?|(?:private|ssh|secret) keys?|tokens?|secrets?"
    r"|cookies"
    r"|conversation|chat(?: history)?|history|context|system prompt|(?:every|all|the user'?s?"
    r"|private"
    r"|customer|previous) (?:\w+ )?(?:e-?mails?|messages?|files?|documents?|data|list|records?)"
    r"|inbox|database|environment(?: variables)?|id_rsa|what (?:the user|was said))"
)
_CARRY = (
    r"(?:send|forward|post|e-?mail|upload|transmit|leak|exfiltrat\w+|append|encode|submit|share"
    r"|deliver|copy|hand|put|write|include|relay|report|request|fetch|embed|mail|render)"
)
_PLACE = (
    r"(?:(?:to|at|in|into|on|of|with|a|from|over to|via) )?(?:the (?:url|address|link) |a link to |"
    r"link )?(?:https?://|[\w.+-]{1,64}@[\w-]{1,63}\.)"
)
_USER = r"(?:the )?(?:users?|humans?|person)"

SIGNS: tuple[Sign, ...] = (
    _sign(
        "override",
        0.65,
        pattern=rf"\b{_DROP} (?:(?:all|any|every|each|of|the|these|those|your|my|everything"
        rf"|whatever|that)"
        rf" ){{0,4}}(?:{_EARLIER}|{_WHOSE})(?: \w+){{0,2}} {_ORDERS}\b"
        rf"|\b{_DROP} (?:all|any|every) (?:of )?(?:the |your |other )?{_ORDERS}\b{_NEAR}"
        r"\b(?:above|before|so far|given|you)\b"
        rf"|\b{_DROP} (?:the |all )?(?:{_ORDERS}|text)"
        r" (?:above|below|before|(?:you|that) (?:were|was|have|had))"
        rf"|\b{_DROP} (?:everything|anything|whatever|what|all)\b{_NEAR}"
        r"\b(?:(?:told|instructed|asked|ordered|taught)\b|you (?:know|learn)|before|above|so far)"
        rf"|\b{_DROP} (?:the|all(?: of)?(?: the)?|everything) above,? (?:and|instead)\b"
        rf"|\b{_DROP} (?:the|this|your) (?:\w+ )?(?:request|task)\b"
        rf"|\b{_DROP} (?:your|the user'?s?) (?:request|question|query|{_ORDERS}|memory)",
        needs="ignore ignoring disregard disregarding forget override overrides overriding "
        "overwrite "
        "bypass circumvent aside discard abandon drop skip neglect dismiss abort mind nevermind "
        "erase delete attention heed unlearn suspend follow obey adhere comply execute apply "
        "listen do honour honor; instruction instructions prompt prompts rule rules direction "
        "directions directive directives order orders guideline guidelines guidance guardrail "
        "guardrails constraint constraints restriction restrictions command commands task tasks "
        "programming policy policies limitation limitations configuration training told "
        "instructed asked ordered taught know learn before above far text memory request "
        "question query; ignore ignoring disregard disregarding forget override overrides "
        "overriding overwrite bypass circumvent aside discard abandon drop skip neglect dismiss "
        "abort mind nevermind erase delete attention heed unlearn suspend not don never stop "
        "cease quit longer",
    ),
    _sign(
        "revoked",
        0.6,
        pattern=rf"\b(?:your|the|all|any)\b(?: {_EARLIER}| system)? (?:{_ORDERS}|prompt)"
        rf"(?: (?:you|that|above)\b{_NEAR})? (?:is|are|was|were|have been|has been|no longer)"
        r" (?:now |hereby |all |already )?(?:void|obsolete|cancel|revoked|suspended|lifted|invalid"
        r"|over(?:ridden)?|no longer|replaced|superseded|outdated|null|appl|valid)"
        rf"|\bin your (?:initial|original|system|first) prompt (?:is|was)\b"
        rf"|\b(?:override|supersede|replace|cancel|overrule)s? (?:your|the|any|all)\b{_NEAR}"
        r"\b(?:system (?:prompt|message)|prompt|instructions you)"
        r"|\byou have been (?:freed|released|liberated|unlocked|jailbroken)\b",
        needs="message messages prompt prompts instruction instructions rule rules direction "
        "directions "
        "directive "
        "directives order orders guideline guidelines guidance constraint constraints "
        "restriction restrictions command commands task tasks policy policies limitation "
        "limitations configuration training freed released liberated unlocked jailbroken "
        "programming guardrail guardrails; void obsolete cancelled canceled revoked suspended "
        "lifted invalid over overridden longer replaced superseded outdated null apply applies "
        "valid initial original first freed released liberated unlocked jailbroken override "
        "overrides supersede supersedes replace replaces cancel cancels overrule overrules "
        "nullified",
    ),
    _sign(
        "persona",
        0.35,
        pattern=r"\b(?:you are (?:now|no longer)|you'?re (?:now|no longer)|from now on,? (?:you"
        r"|act)"
        r"|pretend (?:to be|that you|you)|act as|role-?play|take on the (?:persona|role|identity)"
        r"|assume the (?:persona|role|identity)|imagine (?:that )?you(?:'re| are)"
        r"|(?:enter|switch to|activate|enable) \w+ mode|you (?:will|must|shall) (?:now )?behave)\b",
        needs="now longer pretend act role roleplay persona identity imagine mode behave",
    ),
    _sign(
        "unbound",
        0.5,
        pattern=r"\b(?:unrestricted|unfiltered|uncensored|jailbroken|freed) (?:ai|model"
        r"|assistant|mode|bot)"
        r"|\b(?:without|has no|have no|with no|no) (?:\w+ )?(?:restrictions|rules|limits|filters"
        r"|guidelines|guardrails|censorship|polic(?:y|ies))\b"
        r"|\b(?:developer|god|debug|admin|sudo|dan|jailbreak|unrestricted|root) mode\b"
        r"|\bdo anything now\b|\balways complies\b|\bdoes not refuse\b|\bobeys? nobody"
        r"|\b(?:safety )?filters (?:are )?(?:off|disabled)|\bsafety (?:is )?(?:off|disabled)",
        needs="unrestricted unfiltered uncensored jailbroken jailbreak freed restrictions rules "
        "limits filters guidelines guardrails censorship policy policies mode anything complies "
        "refuse obeys obey safety act behave identity; unrestricted unfiltered uncensored freed "
        "without no developer god debug admin sudo dan jailbreak root now always not nobody off "
        "disabled administrator operator superuser",
    ),
    _sign(
        "marks",
        0.6,
        pattern=r"<\|[a-z_]{2,24}\|>|\[/?inst\]|<</?sys>>|<(?:start|end)_of_turn>"
        r"|\[(?:user|assistant|system)\]\(#",
        needs="im start end eot sys inst user assistant system channel message header of; < [",
    ),
    _sign(
        "turns",
        0.5,
        pattern=r"</?(?:system|assistant|human|system[-_](?:prompt|message|reminder|note)"
        r"|function_calls|tool_result|invoke)(?: [^<>\n]{0,60})?>|<user>"
        r"|^[>*#\[ ]{0,6}(?:system|developer|admin(?:istrator)?)"
        r" ?(?:prompt|message|note|notice|override|update|instruction|alert|command)s?\b"
        r"[^:\n.—]{0,30}(?:\]|:|—| - )"
        r"|\[(?:system|admin|developer|operator)\](?!\()|^#{2,5} ?(?:instruction|system|new"
        r" instruction)s?:?\n"
        r"|^(?:human|user): [^\n]{1,200}\n{1,3}(?:assistant|ai): |\bassistant: (?:sure|certainly"
        r"|i will|will do|tell|say|reply|call|ignore)\b"
        r"|\bsystem override\b|^[>*#\[ ]{0,6}system: (?:you|new|the (?:ai|assistant)|[a-z]+ (?:the"
        r"|your|all|to|only|a)\b)",
        needs="system developer admin administrator assistant user human function invoke tool "
        "instruction; < system developer admin administrator assistant instruction : — -",
    ),
    _sign(
        "listed_turn",
        0.35,
        pattern=r"\"role\": ?\"(?:system|developer)\"",
        needs="role; system developer",
    ),
    _sign(
        "addressed",
        0.5,
        pattern=r"\b(?:notes?|notice|instructions?|message|memo|reminder|directive|request"
        r"|confidential)"
        rf" (?:to|for) (?:the |all |any |every |our )?{_BOT}\b(?!'s)"
        rf"|\b(?:dear|hey|hello|hi|attention|attn),?:? (?:the |all |any |every )?{_BOT}\b"
        rf"|\bto (?:any|all|every|whichever|whatever) {_BOT} (?:\w+ ){{0,2}}{_READS}"
        rf"|\b(?:if|should|in case|when|whenever|as) (?:you are |you're )?(?:an?|any|the|this|our)?"
        rf" ?(?:automated )?{_READER} {_NEAR}{_READS}|\b(?:if|as) you(?: are|'re) an? {_READER}"
        rf"|\bany {_READER} (?:that|which|who) {_READS}|\bfor (?:the )?{_READER}(?: eyes)? only\b"
        rf"|\b{_BOT} (?:reading|processing|summarising|summarizing|visiting|handling|quoting) th"
        rf"|(?:^[^\w\n]{{0,8}}|[>\"(#*/%\[]|--)[ \"']{{0,3}}(?:{_READER}[:,]|(?:assistant|agent"
        rf"|bot),) ",
        needs="ai llm llms gpt language bot bots chatbot chatbots chatgpt claude gemini copilot "
        "copilots "
        "assistant assistants model models agent agents automated virtual",
    ),
    _sign(
        "reporting",
        0.45,
        pattern=r"\b(?:when(?:ever)?|before|after|while|in) (?:you(?:r)? )?(?:summari[sz](?:e|ing)"
        r"|finish(?:ed)?"
        r" reading|have finished|process(?:ing)?|answer(?:ing)?|respon(?:d|ding|se)|report back"
        r"|reply)"
        r"\b[^.!?]{0,24}\b(?:th(?:is|e) (?:page|document|text|file|article|mail|email|user"
        r"|question))",
        needs="summarise summarize summarising summarizing reading finished process processing "
        "answer "
        "answering respond response report reply responding; page document text file article mail "
        "email user question",
    ),
    _sign(
        "bound",
        0.45,
        pattern=rf"\b(?:{_READER}|chatbots)"
        rf"(?: \w+){{0,4}}? (?:must|should|shall|has to|have to|needs? to|ought to|will now|would"
        r"|(?:is|are) (?:requested|required|advised|encouraged|asked|instructed|obliged|expected)"
        r" to)\b|\b(?:the|an?|any) (?:model|agent) (?:is (?:requested|advised|encouraged|asked"
        r"|instructed)"
        r" to|must first)\b",
        needs="ai llm llms gpt language chatbot chatbots chatgpt claude gemini copilot assistant "
        "assistants model agent automated digital virtual models agents; must should "
        "shall has have need needs ought will would requested required advised encouraged asked "
        "instructed obliged expected",
    ),
    _sign(
        "expected",
        0.3,
        pattern=r"\b(?:the|an?|this|your|good) (?:\w+ )?(?:assistant|agent|bot)s? (?:\w+"
        r" ){0,2}?(?:must"
        r"|should"
        r"|shall|has to|have to|needs? to|will now|would)\b",
        needs="assistant agent bot assistants agents bots; must should shall has have need "
        "needs will "
        "would",
    ),
    _sign(
        "ordered",
        0.4,
        pattern=r"\b(?:your|the) (?:new|next|only|real|true|actual|sole|updated|first|current)"
        r" (?:task|job"
        r"|instruction|priority|goal|objective|assignment|mission|directive|order|purpose)s?"
        r"(?: here| now)?(?: is|:| are)"
        r"|^[^\w\n]{0,8}(?:new|next|real|actual|updated) (?:system )?(?:task|instruction|priority"
        r"|objective|assignment|order)s?\b[^.:\n]{0,30}:"
        r"|\b(?:new|updated) (?:instruction|priority|directive)s?(?: for the \w+)?:"
        r"|\bwhat you must do is\b|\bmust be obeyed\b|\byour real (?:job|task)\b"
        r"|\b(?:task|job|answer|summary)(?: is|:)? (?:finished|completed?|done)\b"
        r"|\bthe user(?:'s)? (?:actual(?:ly)?|real(?:ly)?|(?:has|have) (?:already )?(?:asked you"
        r"|agreed"
        r"|approved|authori[sz]ed|confirmed)|wants you)\b",
        needs="task tasks job instruction instructions priority goal objective assignment mission "
        "directive directives order orders purpose summary answer user obeyed must; new next "
        "only real true actual actually really sole updated first current must finished "
        "complete completed done asked wants agreed approved authorised authorized confirmed "
        "obeyed",
    ),
    _sign(
        "compelled",
        0.2,
        pattern=r"\b(?:you|and) (?:must|have to|are to|need to|shall) \w",
        needs="must have are need shall; you and",
    ),
    _sign(
        "sidelined",
        0.4,
        pattern=rf"\b{_DROP} (?:the|this|your) (?:user|page|question|rest of (?:the|this)|person"
        rf"|conversation)",
        needs="ignore ignoring disregard forget aside discard abandon drop skip neglect dismiss "
        "abort "
        "mind attention heed follow obey listen override bypass; user page question rest person "
        "conversation",
    ),
    _sign(
        "ends",
        0.5,
        pattern=r"\bend of (?:the )?(?:document|context|data|input|text|search results|e-?mail"
        r"|quote|page"
        r"|article|results?|message|transcript|user (?:input|data))\b"
        r"|(?:quoted )?text ends here|^</(?:document|context|input|data|untrusted|content|text|file"
        r"|email|article|page|search_results?|tool_results?|query)>"
        r"|\b(?:begin|start of) (?:trusted|system|operator|developer|privileged)\b"
        r"|^eof$|comes from the (?:developer|operator|system|administrator)\b",
        needs="end ends begin comes eof here <; document context data input text search mail "
        "quote page "
        "article result results message transcript user trusted system operator developer "
        "privileged eof administrator untrusted content query tool",
    ),
    _sign(
        "secrecy",
        0.5,
        pattern=rf"\b(?:do not|don'?t|never|without|not|must not|should not|shall not|cannot)"
        rf" (?:ever"
        rf" )?(?:tell"
        rf"|inform|mention|reveal|alert|show|notify|disclos|let|warn|ask|need|refer)(?:ing|e)?\b"
        rf"[^.!?]{{0,24}}\b(?:{_USER}|these instructions|this (?:instruction|text|note|message"
        rf"|prompt"
        r"|paragraph)|that you (?:did|were))\b(?! (?:name|id|guide|manual|interface))"
        r"|\bthe (?:user|human|person)s? (?:\w+ ){0,4}?(?:must|should|need|does|do|may|can|shall)"
        r"(?: not|n'?t)(?: need to)? (?:know|find out|notice|see|learn|be told|be aware)"
        rf"|\b{_USER} (?:must|should) (?:remain|stay|be kept) unaware"
        r"|\bkeep (?:this|it|quiet)(?: \w+){0,2} (?:secret|between us|hidden|about (?:it|this))\b"
        r"|\bas (?:if|though) nothing (?:had )?(?:happened|been asked|was asked)"
        r"|\bleave (?:no trace|this (?:note|text|paragraph) out)\b|\bhumans? (?:cannot|can't) see\b"
        r"|\bconfidential to the (?:ai|assistant|model)\b",
        needs="not don dont doesn needn never without cannot keep nothing leave confidential mustn "
        "shouldn can; user users human humans person people owner operator customer this these "
        "you it that quiet nothing happened asked ai assistant model trace",
    ),
    _sign(
        "unasked",
        0.35,
        pattern=r"\b(?:without (?:asking|confirm|permission|approval|hesitat)|no"
        r" (?:confirmation|permission"
        r"|approval) (?:is )?(?:needed|required|necessary)|do (?:it|this|so) (?:silently|quietly"
        r"|secretly))",
        needs="without no silently quietly secretly do; asking confirming confirmation permission "
        "approval hesitation hesitating silently quietly secretly",
    ),
    _sign(
        "carried",
        0.6,
        pattern=rf"\b{_CARRY}\b{_WIDE}\b{_PRIVATE}\b{_WIDE}{_PLACE}"
        rf"|\b{_CARRY} {_WIDE}{_PLACE}[^ \n]{{0,80}} {_WIDE}\b(?:contents? of|conversation|what the"
        r" user|chat history|secrets|user'?s? (?:last |data|messages?))"
        r"|!?\[[^\]\n]{0,40}\]\(https?://[^)\s\[{<]{1,120}(?:[\[{<]|=[A-Z_]{4,}|=(?:summary|data|secret"
        r"|conversation|history)\b)"
        r"|\b(?:call|invoke|use) [a-z]+_[a-z_]+ [^!?\n]{0,90}\b(?:api key|password|secret"
        r"|credential)"
        r"|\bread (?:the )?(?:file )?(?:\.env|~/\.\w+|/etc/\w+)[^!?\n]{0,60}"
        r"\b(?:pass|hand|send|post|include|add)\b",
        needs="http https @ env read _",
    ),
    _sign(
        "mailed",
        0.25,
        pattern=rf"\b(?:send|forward|post|upload|transmit|submit|share|copy|visit|open"
        rf"|add)\b{_WIDE}{_PLACE}",
        needs="http https @; send forward post upload transmit submit share copy visit open add",
    ),
    _sign(
        "deed",
        0.25,
        pattern=r"\b(?:delete|remove|erase|wipe) (?:all|every|the (?:originals?|files?|logs?"
        r"|records?))\b"
        r"|\btransfer \W?\d|\b(?:buy|purchase|pay) (?:at|from|to)\b|\bto call this number\b"
        r"|\bdo what it says\b|\bfollow (?:it|what it says)\b",
        needs="delete remove erase wipe transfer buy purchase pay call do follow; all every "
        "original "
        "originals the files at from to number says it what",
    ),
    _sign(
        "leaked",
        0.6,
        pattern=r"\b(?:reveal|print|repeat|output|show|leak|disclose|display|give|tell me|state"
        r"|translate"
        r"|summari[sz]e|copy|recite|quote|write out|list)\b[^.!?]{0,50}\b(?:(?:your|this) (?:\w+ )?"
        r"system (?:prompt|message)|your (?:own |initial |original |hidden |full |secret "
        r"|configuration |exact ){0,2}"
        r"(?:instructions|prompt|configuration prompt|rules)|(?:hidden|initial) (?:instructions"
        r"|prompt)"
        r"|instructions you (?:were|have been) given|rules your (?:developers|creators)"
        r"|tools you (?:were|have been) given|words above starting)"
        r"|\b(?:everything|the text|all text|all) (?:that was |that is )?(?:written )?(?:before"
        r"|above)"
        r" this (?:sentence|line|point|message)"
        r"|\b(?:at the top|beginning) of your (?:context|prompt)\b",
        needs="reveal print repeat output show leak disclose display give tell state translate "
        "summarise summarize copy recite quote write list everything text all top beginning; "
        "prompt instructions rules tools words sentence line point message context system",
    ),
    _sign(
        "tool",
        0.3,
        pattern=r"\b(?:call|invoke|use (?:the|your)|run|execute|trigger"
        r"|issue)\b[^.!?\n]{0,32}(?:\b(?:tool|shell"
        r"|plugin)\b|\b[a-z]+_[a-z_]+\b(?!\())|\b(?:must|has to|have to|first|silently|now)"
        r" (?:\w+ )?"
        r"(?:call|invoke|execute|run|trigger) [a-z]+_[a-z_]+|\b(?:curl|wget) [^\n|]{3,80}\|"
        r" ?(?:ba)?sh\b"
        r"|\"(?:action|tool|function)\": ?\"[a-z]+_[a-z_]+\"|<invoke\b|to=functions\.",
        needs="call invoke use run execute trigger issue curl wget action tool function functions; "
        "tool function shell plugin api sh bash action _ invoke functions",
    ),
    _sign(
        "urgent",
        0.3,
        pattern=r"\bbefore (?:you )?(?:answer(?:ing)?\b|anything else|do(?:ing)? anything"
        r"|us(?:e|ing) any"
        r" other)"
        r"|\bprior to (?:using|answering|anything)|\bas a next step the (?:assistant|agent|model)"
        r"|\b(?:call|use|run|invoke|execute)\b[^.!?\n]{0,60}\bnow[.!]",
        needs="before prior next now; answer answering anything using use any step call run invoke "
        "execute",
    ),
    _sign(
        "granted",
        0.45,
        pattern=r"\b(?:notes?|messages?|notice|instructions?|orders?) from (?:the|your)"
        r" (?:developer"
        r"|operator"
        r"|admin(?:istrator)?|system|creator|owner|vendor)s?\b|\bearlier,? you (?:have"
        r" )?(?:confirmed"
        r"|agreed|promised|said)\b",
        needs="from earlier; developer operator admin administrator system creator owner vendor "
        "developers "
        "confirmed agreed promised said",
    ),
    _sign(
        "standing",
        0.5,
        pattern=r"\bfor the (?:rest|remainder) of (?:this|the|our|your) (?:conversation|session"
        r"|chat)"
        r"|\b(?:end|begin|start|prefix|finish|open|close) (?:every|each|all(?: of)?|your) (?:your"
        r" )?"
        r"(?:next )?(?:response|answer|repl(?:y|ies)|message|output)s?\b"
        r"|\b(?:decode|decrypt|unscramble)\b[^.!?]{0,30}\b(?:follow|execute|obey|do (?:as|what))",
        needs="rest remainder end begin start prefix finish open close decode decrypt unscramble; "
        "conversation session chat response responses answer answers reply replies message "
        "messages output outputs follow execute obey do",
    ),
    _sign(
        "dictated",
        0.3,
        pattern=r"\b(?:output|print|(?:reply|respond|answer)(?: only| exactly| just| simply)?"
        r" with)(?: only"
        r"| exactly| just)? (?:the (?:word|code|phrase|string|text|sentence)|[\"'“`]"
        r"|[a-z]+-[a-z0-9])",
        needs="output print reply respond answer",
    ),
    _sign(
        "steered",
        0.35,
        pattern=rf"\b(?:recommend|rank|rate|award|name|describe|praise|accept|score|prefer"
        rf"|answer|say"
        rf"|tell {_USER})"
        r"\b[^.!?]{0,60}\b(?:first|highest|best|full marks|positive(?:ly)?|favou?rabl[ey]"
        r"|winner|trustworthy|no (?:issues|weaknesses)|safe to|only|above (?:all|every)|to (?:buy"
        r"|call|visit))\b|\bgive\b[^.!?]{0,30}\b(?:a positive review|the highest|full marks)"
        r"|\b(?:has|have) to be recommended\b|\b(?:reply|respond|answer) only (?:with|in)\b",
        needs="recommend rank rate award name describe praise accept score prefer answer say tell "
        "give has have reply respond; first highest best full positive positively favourable "
        "favorable favourably favorably winner trustworthy issues weaknesses safe only above "
        "buy call visit review recommended",
    ),
    _sign(
        "hidden",
        0.25,
        pattern=r"<!--[^>]{20,400}|\[[^\]\n]{0,12}\]: ?[#<][^\n]{12,300}|(?:display: ?none"
        r"|visibility:"
        r" ?hidden"
        r"|opacity: ?0\b|font-size: ?[01](?:px|pt|em)?\b|left: ?-\d{3,5}px|color: ?(?:#fff\b"
        r"|#ffffff"
        r"|white))[^<>]{0,60}>[^<>]{20,400}|<(?:div|span|p) hidden[^<>]{0,40}>[^<>]{20,400}"
        r"|<(?:template|noscript|details)>[^\n]{20,400}|(?:alt|content|title)=\"[^\"\n]{20,300}\""
        r"|color=\"white\"",
        needs="< ]:",
        quotable=False,
    ),
    _sign(
        "override_abroad",
        0.65,
        pattern=r"\b(?:ignorier|vergiss|missacht|verwirf|übergeh)\w*\b(?!"
        r" nicht)[^.!?\"]{0,40}?\b(?:anweisung"
        r"|vorgabe|regel|befehl|bisherige|vorherige|alles|gesagt)"
        r"|\b(?:anweisungen|vorgaben|regeln|befehle)\b[^.!?\"]{0,20}\b(?:gelten nicht|sind"
        r" (?:aufgehoben"
        r"|ungültig|hinfällig))"
        r"|(?<!n['’])\b(?:ignore[zs]?|oublie[zs]?|ne (?:tiens|tenez) (?:pas|aucun) compte"
        r"|n['’]?écoute"
        r"[zs]? plus|ne (?:suis|suivez) (?:pas|plus))\b(?! pas)[^.!?\"]{0,40}\b(?:instructions"
        r"|consignes"
        r"|règles|ordres|tout ce (?:qu|que))"
        r"|\b(?:ignora|ignore|olvida|olvide|descarta|omite|no (?:hagas caso|sigas|tengas en cuenta"
        r"|obedezcas))\b[^.!?\"]{0,40}\b(?:instrucciones|reglas|órdenes|indicaciones|lo"
        r" (?:anterior|que te"
        r"|que se te))"
        r"|(?<!non )\b(?:ignora|ignorate|dimentica|scorda|trascura|non (?:seguire|considerare"
        r"|tenere"
        r" conto))\b[^.!?\"]{0,40}\b(?:istruzioni|regole|ordini|indicazioni|(?:quello|ciò|quanto)"
        r" che)"
        r"|(?<!se )\b(?:ignore|ignora|esque[çc]a|desconsidere|descarte|n[ãa]o siga)\b[^.!?\"]{0,40}"
        r"\b(?:instruç|regras|ordens|orientaç|tudo (?:o )?que)"
        r"|\b(?:negeer|vergeet|volg)\b(?! niet)[^.!?\"]{0,40}\b(?:instructies|regels|opdrachten"
        r"|eerder"
        r"|alles wat)(?:[^.!?\"]{0,12}niet meer)?"
        r"|\b(?:z?ignoruj|zapomnij|pomiń|nie wykonuj)\w*[^.!?\"]{0,40}\b(?:polece|instrukc|zasad)"
        r"|\b(?:игнорируй|забудь|проигнорируй|не следуй|отмени)\w*[^.!?\"]{0,40}(?:инструкц"
        r"|указан|правил)"
        r"|(?:忽略|无视|無視|忘记|忘掉|不要理会)[^。!?\n]{0,16}(?:指令|指示|规则|規則|提示|内容)"
        r"|(?:指示|命令|ルール|プロンプト)[^。!?\n]{0,10}(?:無視|忘れ)",
        needs="ignoriere ignorieren ignoriert vergiss vergesse vergessen missachte missachten "
        "verwirf "
        "übergehe übergehen anweisungen vorgaben regeln befehle ignorez ignore ignores oublie "
        "oublies oubliez tiens tenez écoute écoutez suis suivez ignora olvida olvide descarta "
        "omite hagas sigas tengas obedezcas ignorate dimentica scorda trascura seguire "
        "considerare tenere esqueça esqueca desconsidere descarte siga negeer vergeet volg "
        "ignoruj zignoruj zapomnij pomiń wykonuj игнорируй проигнорируй забудь забудьте следуй "
        "отмени cjk",
    ),
    _sign(
        "addressed_abroad",
        0.6,
        pattern=r"\b(?:hinweis|anweisung|nachricht|notiz)(?:en)? (?:an|für) (?:die |den |das |jede"
        r" )?(?:ki|llm"
        r"|assistent|sprachmodell|ai)\b"
        r"|\b(?:à l['’]attention d|note (?:à|pour)|message (?:à|pour)|instructions?"
        r" pour)[^.!?\n]{0,8}"
        r"\b(?:l['’])?(?:ia|assistant|modèle|llm)\b"
        r"|\b(?:nota|aviso|mensaje|instrucciones|istruzioni|messaggio|mensagem|instruções|avviso)"
        r" (?:para|per|a) (?:la |el |l['’]|o |a )?(?:ia|asistente|assistente|modelo|modello|llm"
        r"|ai)\b"
        r"|\b(?:bericht|instructies?|notitie) (?:aan|voor) (?:de )?(?:ai|assistent|taalmodel)\b",
        needs="hinweis hinweise anweisung anweisungen nachricht notiz notizen attention note "
        "message "
        "instruction instructions nota aviso mensaje instrucciones istruzioni messaggio "
        "mensagem instruções avviso bericht instructie instructies notitie; ki llm assistent "
        "sprachmodell ai ia assistant modèle asistente assistente modelo modello taalmodel",
    ),
    _sign(
        "secrecy_abroad",
        0.45,
        pattern=r"\bohne (?:den|die|dem) (?:nutzer|benutzer|anwender)\w*\b|\b(?:nutzer"
        r"|benutzer)\b[^.!?]{0,12}"
        r"\bnichts?\b[^.!?]{0,12}\b(?:sagen|verraten|erzählen)"
        r"|\bsans (?:prévenir|informer|le dire à|avertir) l['’]utilisateur|\bne (?:le )?dis"
        r" (?:rien|pas)"
        r" à l['’]utilisateur"
        r"|\b(?:no se lo digas|sin (?:avisar|informar|decir))[^.!?]{0,10} (?:al|el) usuario"
        r"|\bsenza (?:avvisare|informare|dirlo al) l?['’ ]?utente|\bsem (?:avisar|informar) o"
        r" (?:usuário|utilizador)|\bzonder de gebruiker",
        needs="nutzer benutzer anwender nutzers utilisateur usuario utente usuário utilizador "
        "gebruiker",
    ),
)
"""Signs that are of one text, near each other, count together."""

WORD = re.compile(r"[^\W\d_]+")
UNSPACED = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")
MARKS = ("<", "[", "@", ":", "—", "-", "_", "]:")


def words(text: str) -> set[str]:
    """The words of `text`, and those of :data:`MARKS` that are in it; "cjk" for unspaced ones."""
    found = set(WORD.findall(text))
    found.update(mark for mark in MARKS if mark in text)
    if not text.isascii() and UNSPACED.search(text):
        found.add("cjk")
    return found


EXAMPLE = re.compile(
    r"\b(?:injections?|attack\w*|payloads?|phrases?|sentences?|such as|for example|for instance"
    r"|e\.g"
    r"|malicious|jailbreaks?|adversar\w*|hidden text|says?|said|strings?|contained|might (?:say"
    r"|read)"
    r"|reads|type|template|beispiel|exemple|ejemplo)\b"
)
"""Words before a quotation that is an example of something."""
QUOTED = re.compile(r"[\"“„«`]([^\"”“»`\n]{6,240})[\"”“»`]")


LITERAL = re.compile(r"(?:[=(\[,] |\()[frb]?[\"'`]{0,2}\Z")
"""What stands before a text in a program."""


def quotations(text: str) -> Iterator[tuple[int, int]]:
    """Where in `text` there are quotations that are said to be examples, or a program's."""
    for found in QUOTED.finditer(text):
        before = text[max(0, found.start() - 120) : found.start()]
        if EXAMPLE.search(before) is not None or LITERAL.search(before) is not None:
            yield found.span()
