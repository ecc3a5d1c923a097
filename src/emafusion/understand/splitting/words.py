"""The words people use about a list of asks: data for the splitters.

Knows single words in a few languages, not sentences: what somebody writes around their questions is
recognised by the share of its words that are about asking and answering, however it is phrased.
"""

from __future__ import annotations

from typing import Final


def spelt(text: str) -> frozenset[str]:
    """The words of `text`, as a set."""
    return frozenset(text.split())


ASK_NOUNS: Final = spelt(
    """question questions q qs task tasks problem problems part parts item items prompt prompts
    request requests query queries ask asks exercise exercises puzzle puzzles riddle riddles issue
    issues assignment assignments challenge challenges thing things point points job jobs inquiry
    inquiries doubt doubts matter matters ticket tickets message messages subquestion subtask sub
    pregunta preguntas tarea tareas problema problemas ejercicio frage fragen aufgabe aufgaben
    tâche tâches exercice problème problèmes pergunta perguntas tarefa tarefas domanda domande
    compito compiti vraag vragen taak taken opgave pytanie zadanie вопрос вопросы задача задание
    问题 題 题"""
)
"""What an ask is called."""

NUMBERS: Final = {
    word: value
    for value, words in enumerate(
        (
            "one first firstly "
            "primero primera erstens erste premier première premièrement primo "
            "uno un eins ein primeiro primeira",
            "two second secondly "
            "segundo segunda zweiter zweitens zweite deuxième deuxièmement dos deux zwei "
            "due secondo dois duas both pair couple",
            "three third thirdly "
            "tercero tercera dritter drittens dritte troisième troisièmement tres trois "
            "drei tre terzo três terceiro trio",
            "four fourth fourthly "
            "cuarto cuarta viertens vierte quatrième cuatro quatre vier quattro quatro",
            "five fifth fifthly quinto quinta fünftens fünfte cinquième cinco cinq fünf cinque",
            "six sixth sixthly sexto sechstens seis sechs sei",
            "seven seventh seventhly siete sept sieben sette sete",
            "eight eighth eighthly ocho huit acht otto oito",
        ),
        1,
    )
    for word in words.split()
}
"""Number words and ordinals, one to eight."""

CARDINALS: Final = spelt(
    """two three four five six seven eight both pair couple trio dos tres cuatro cinco seis siete
    ocho deux trois quatre cinq huit zwei drei vier fünf sechs sieben acht due tre quattro dois duas
    três"""
)
"""The number words that count a list."""

ONWARD: Final = spelt(
    """also next then another additionally besides furthermore moreover plus separately afterwards
    afterward unrelated meanwhile different other addition following onward switching changing
    moving turning ps pps ppps pppps
    además también luego después siguiente otra außerdem dann danach nächste
    weitere ensuite aussi puis prochaine suivante autre inoltre poi prossima outra depois também
    próxima extra likewise second third fourth fifth more again continuing"""
)
"""Words that lead on to one more ask."""

LASTLY: Final = spelt(
    """finally last lastly final finalmente último última schließlich letzte zuletzt enfin dernière
    dernier infine ultima ultimo"""
)
"""Words that lead to the last ask."""

OPENERS: Final = spelt(
    """first firstly begin start starters starter primero primera erstens zuerst premièrement
    d'abord primo primeiro primeira innanzitutto opening"""
)
"""Words that lead to the first ask."""

ABOUT: Final = (
    spelt(
        """answer answers answered answering reply replies respond response responses solve solves
        solved solving address addressing tackle handle help complete work working deal resolve
        cover sort-out give provide return write list put state keep show use make sure let get give
        include leave skip treat take go through read consider format present label number numbered
        numbering order ordered same each every all both separate separately individually individual
        independent independently turn one once after before another other others next then first
        last line lines paragraph section heading headings header newline bullet bullets blank
        sentence short shortly brief briefly concise concisely full fully clear clearly careful
        carefully step steps step-by-step explanation explanations reasoning detail details final
        correct correctly together single reply message sequence sequentially successive listed
        given above below following follow follows here there these those them they it this that
        are is be been was were am have has had having got do does did can could would will should
        may might must need needs want wants like love appreciate wonder wondering know asking asked
        hello hi hey dear good morning afternoon evening greetings team everyone thanks thank please
        kindly cheers regards advance much very many few several some various multiple couple
        unrelated related different distinct separate assorted mixed random quick small little short
        batch set list series bunch group pile today now time times just only so far as well also
        again in on at of for to from with without by into under over between up down out about i
        i'm i'd i've i'll me my mine myself we our us you you're your yours a an the and or but any
        anything something everything nothing no yes not don't miss forget merge mix out rest whole
        what's whatever whichever which per own if when while how what who s ve d ll m re t back
        along order appear appeared come comes asked come coming corresponding respective
        respectively possible best kind grateful appreciated worth start begin end finish done ready
        okay ok oh right well great that's all else more additional extra simply directly matching
        apart stand alone relevant own connection connected nothing shared common way ways mind
        attention favour favor hand bit lot ones clearly marked labelled labeled separated
        separator between tell explain say look looking find below: stuff topics topic subject
        subjects assistant expert tutor teacher patient wise assist assistance cover covering
        different order's pleased happy glad quickly soon slowly thorough thoroughly neatly tidy
        person people colleague friend asks sends sent came arrived queue inbox my boss's dump
        quiz homework exam trivia test sheet worksheet checklist mail email note notes
        y o u las los el la les le die der das und et e il i gli las por para sigue siguientes estas
        responde respuesta respuestas réponds réponse réponses répondez beantworte bitte antworten
        antwort folgende folgenden por favor gracias merci danke beide beiden ces deux
        hope hoping care minute moment monday tuesday wednesday thursday friday saturday sunday
        tomorrow tonight week weekend
        bonjour salut hola hallo ciao buongiorno olá voici voilà mes nos vos mon ma mis mi hier sind
        meine aquí están ecco mie eis minhas habe ich ai tengo une unas unos tous toutes alle todas
        risponda rispondi seguenti responda seguintes suivantes suivants nacheinander"""
    )
    | ASK_NOUNS
    | CARDINALS
    | ONWARD
    | LASTLY
    | OPENERS
    | frozenset(NUMBERS)
)
"""Words that say nothing but that something is asked and how to answer."""

DATA_VERBS: Final = spelt(
    """translate rank sort classify categorize categorise rewrite rephrase paraphrase summarize
    summarise edit proofread convert transform extract identify choose pick select compare grade
    score count merge combine reorder rearrange order-by arrange evaluate rate which why hardest
    easiest difficulty best worst true false correct-one describe design create generate compose
    draft invent imagine instructions instruction algorithm function program code example examples
    sample samples answered-wrong similar difference differences duplicate duplicates language
    grammar spelling typos json-to csv table story essay article passage text paragraph-above poem
    recipe plan schedule using assuming suppose given that's-true sum total average result results
    outline review critique improve fix correct-the alphabetically statements statement options
    option facts fact premises premise clues clue rules rule conditions condition requirements
    requirement criteria criterion features events event sentences words procedure process method
    recipe ingredients dialogue transcript interview survey questionnaire faq quoted matches
    traduce clasifica ordena übersetze traduis traduire sortiere sortieren"""
)
"""Words that make a list something to work on, not something to answer."""

IMPERATIVES: Final = """write|find|compute|calculate|determine|explain|describe|list|name|give|tell|
 show|prove|solve|simplify|evaluate|express|estimate|translate|summari[sz]e|rewrite|rephrase|
 paraphrase|classify|categori[sz]e|identify|choose|select|pick|compare|contrast|discuss|define|
 state|provide|create|generate|design|draft|compose|make|suggest|recommend|propose|outline|plan|
 complete|convert|extract|sort|rank|count|fill|answer|predict|factor|graph|draw|sketch|round|add|
 subtract|multiply|divide|differentiate|integrate|verify|check|analy[sz]e|implement|code|debug|
 fix|refactor|optimi[sz]e|edit|correct|improve|proofread|help|imagine|pretend|act|develop|build|
 construct|formulate|brainstorm|invent|come up|decide|judge|rate|mention|spell|reverse|output|
 return|print|decode|encode|match|arrange|order|recite|interpret|elaborate|clarify|teach|guide|
 walk me|advise|review|critique|schedule|derive|show that|let me know|set up|sum up|shorten|
 expand|continue|finish|expound|illustrate|research|look up|use|put|turn|transform|detect|label|
 tag|annotate|parse|assess|examine|consider|think|reply|respond|remove|replace|insert|report|
 reformulate|reword|take|enter|notify|structure|run|search for|look for|read|respond to|gather|
 explore|incorporate|simulate|address|craft|tweak|test|update|speak|explain to|share|
 roleplay|role-play|script|unscramble|paint|characteri[sz]e|highlight|justify|enumerate|quote|cite|introduce|prepare|
 escribe|explica|calcula|traduce|nomme|écris|explique|calcule|schreibe|erkläre|berechne|nenne|
 übersetze"""
"""Verbs that begin an ask, as alternatives of a regular expression."""

TELLING_VERBS: Final = spelt(
    """find compute calculate determine explain name tell prove solve simplify evaluate estimate
    translate define state convert factor round add subtract multiply divide differentiate integrate
    spell recite derive clarify describe
    nomme explique calcule traduis nenne erkläre berechne übersetze explica calcula traduce"""
)
"""Verbs that ask for an answer which their object determines."""

OPEN_VERBS: Final = spelt(
    """write list give provide suggest recommend propose outline compose draft create generate
    compare discuss summarize summarise schreibe écris escribe"""
)
"""Verbs that ask for something new, which may be meant for a setting told elsewhere."""

COMMONPLACE: Final = spelt(
    """one two three four five six seven eight nine ten first second third last capital country city
    year word sentence line short brief large largest big biggest small smallest high highest tall
    tallest long longest old oldest person people invented discovered wrote written painted composed
    won year century simple term difference meaning mean mention 1 2 3 me please
    really good main common made make used use work happen different"""
)
"""Words that asks of different subjects share."""
