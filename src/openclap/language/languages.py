"""The languages that are put into English, one row each: how their words are written, and how they are inflected.

An ending is replaced by another one until a word is in the lexicon: `ladrando` − ando + ar → ladrar. Rules are tried in
their order; words are compared without accents and case, as `openclap.words.fold` writes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

__all__ = [
    "ALSO_ENGLISH",
    "ENGLISH_BASICS",
    "ENGLISH_ENDINGS",
    "FALSE_FRIENDS",
    "LANGUAGES",
    "SPACED",
    "Language",
    "common_words",
    "rare_english",
]


@dataclass(frozen=True)
class Language:
    """A language with a lexicon `CODE.csv` in this folder.

    Attributes
    ----------
    spaced : bool
        Whether spaces separate its words.
    letters : str
        Letters beyond a to z that it is written with; a word with others is of another language, as très is not tres.
    endings : tuple of (str, str)
        Endings of inflected forms, and what stands in their place in the lexicon.
    prefix : str
        What an inflected form may begin with, too: ge|bell|t.
    vowels : tuple of (str, str)
        Vowels of stems that change: ll|ue|ve → ll|o|ver. `i` → `e+ir` holds for verbs in -ir alone.
    digraphs : tuple of (str, str)
        How a letter is typed where a keyboard lacks it: Tuer → Tür, without its accent.
    joints : tuple of str
        What may stand between the words of a compound; none where the language has no compounds.
    common : frozenset of str
        Words that a model for English may know, as English texts quote them, and that are no English.
    basics : tuple of str
        Everyday words; a tokenizer that holds them whole is made for this language, too.
    """

    code: str
    name: str
    spaced: bool = True
    letters: str = ""
    endings: tuple[tuple[str, str], ...] = ()
    prefix: str = ""
    vowels: tuple[tuple[str, str], ...] = ()
    digraphs: tuple[tuple[str, str], ...] = ()
    joints: tuple[str, ...] = ()
    common: frozenset[str] = field(default_factory=frozenset)
    basics: tuple[str, ...] = ()


def _split(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _rules(text: str) -> tuple[tuple[str, str], ...]:
    """`ando:ar s:` → (("ando", "ar"), ("s", "")); a rule without an ending only adds."""
    return tuple((ending, put) for ending, _, put in (rule.partition(":") for rule in text.split()))


GERMAN = Language(
    "de",
    "German",
    letters="äöüß",
    endings=_rules(
        "e: en: n: er: es: s: em: ern: nen: "
        "t:en et:en end:en ende:en enden:en ender:en endes:en endem:en te:en ten:en st:en e:en "
        # klingeln, klappern: other stems have an e before their n, so that entend is no form of Enten
        "lt:ln lnd:ln lnde:ln lnden:ln lnder:ln lndes:ln lte:ln lten:ln le:eln "
        "rt:rn rnd:rn rnde:rn rnden:rn rnder:rn rndes:rn rte:rn rten:rn re:ern es:en s:en"
    ),
    prefix="ge",
    vowels=_rules("ie:e i:e"),
    digraphs=_rules("ae:a oe:o ue:u"),
    joints=("", "s", "es", "n", "en", "e", "er"),
    common=frozenset(
        _split(
            "der das den dem des ein eine im auf mit und vogel musik von hahn bahn ist sein mein meine zur zu aus bei oder"
            " uber essen"
        )
    ),
    basics=_split("nicht können heute wurde zwischen während möglich Jahre müssen wieder schon Menschen"),
)
SPANISH = Language(
    "es",
    "Spanish",
    letters="áéíóúüñ",
    endings=_rules(
        "s: es: ces:z se: "
        "ando:ar a:ar an:ar aba:ar aban:ar o:ar aron:ar ado:ar ada:ar ados:ar adas:ar andose:ar ante:ar antes:ar "
        "iendo:er e:er en:er ia:er ian:er io:er ieron:er ido:er ida:er idos:er idas:er iendose:er yendo:er "
        "iendo:ir e:ir en:ir ia:ir ian:ir io:ir ieron:ir ido:ir ida:ir idos:ir idas:ir iendose:ir yendo:ir "
        # one, we, you; what was, will be and would be; reflexive forms; adjectives and who does it
        "as:ar amos:ar e:ar en:ar es:ar aste:ar abas:ar arse:ar andolo:ar andola:ar ara:ar aran:ar aria:ar arian:ar "
        "emos:er es:er o:er iste:er era:er eran:er eria:er erse:er imos:ir es:ir o:ir ira:ir iran:ir iria:ir irse:ir "
        "que:car quen:car gue:gar guen:gar ce:zar cen:zar jo:jar "
        "ador:ar adora:ar adores:ar adoras:ar edor:er edora:er edores:er idor:ir idora:ir idores:ir "
        "a:o as:o ito:o ita:a itos:o itas:a illo:o illa:a cito: cita: citos: citas: ecito: azo:o azos:o mente:o mente:"
    ),
    vowels=_rules("ue:o ie:e i:e+ir u:o+ir"),
    common=frozenset(
        _split("el los las una y con un la musica nino gallo que lo al del como esta ciudad noche rana guerra por")
    ),
    basics=_split("también años después puede entre desde hasta porque cuando mejor tiempo gobierno"),
)
FRENCH = Language(
    "fr",
    "French",
    letters="àâæçéèêëîïôœùûüÿ",
    endings=_rules(
        "s: x: es: aux:al e: "
        "e:er es:er ent:er ant:er ante:er ants:er antes:er ait:er aient:er a:er ee:er ees:er ez:er "
        "oie:oyer oient:oyer uie:uyer aie:ayer "
        "issant:ir issante:ir issants:ir issent:ir issait:ir it:ir i:ir is:ir ie:ir ent:ir ant:ir "
        ":re s:re ent:re ant:re ante:re ait:re u:re ue:re"
    ),
    vowels=_rules("ie:e eu:ou"),
    common=frozenset(
        _split(
            "le les des une et dans sur du un la porte musique au aux bois cri que qui est il elle mer homme femme chats"
            " clefs parc maison ecole sans par notre deux trois"
        )
    ),
    basics=_split("aussi après toujours même depuis encore alors beaucoup jamais souvent notre années"),
)
CHINESE = Language("zh", "Chinese", spaced=False)
JAPANESE = Language("ja", "Japanese", spaced=False)

LANGUAGES: Mapping[str, Language] = {one.code: one for one in (CHINESE, JAPANESE, GERMAN, SPANISH, FRENCH)}
SPACED = tuple(one for one in LANGUAGES.values() if one.spaced)


# a tokenizer that does not hold most of these whole, as one of letters, cannot tell English from other languages
ENGLISH_BASICS = _split("the and with of from people water music dog rain wind sound")
# words that are in a lexicon and in English dictionaries, too, and that a small model may not know
ALSO_ENGLISH = frozenset(
    _split(
        "acceleration aerosol arena automobile canoe canon canto cascades chant continuo continuos dialog dialogue discussion"
        " echos eructation eruption explosions flatulence gospel hiphop instrument kayak klaxon lions mains mantras marimba"
        " mastication metro monologue mosquito narration parquet pigeons pizzicato reflex salsa singe soundtrack steelpan"
        " tabla telephones timbales trains trot vibrations wagon xylophone yodel"
    )
)
ENGLISH_ENDINGS = (  # of forms, and what is in their place in the word itself
    ("ies", "y"), ("ied", "y"), ("ier", "y"), ("es", ""), ("s", ""), ("ed", ""), ("ed", "e"), ("ing", ""), ("ing", "e"),
    ("ers", ""), ("ers", "e"), ("er", ""), ("er", "e"),
)  # fmt: skip
# words that a small model may not know and that mean something else in English: alone they are read as foreign, as in lists
# of labels, but not among English words (violin timbre)
FALSE_FRIENDS = frozenset(
    _split("bourdon carillon clavier diapason frappe remover salve souffle taper timbre trotter woodblock")
)


@cache
def rare_english() -> frozenset[str]:
    """Words of English dictionaries that a small model may not know and that endings or compounds of others lead to.

    `bloke` was read as blöken, `sausages` as Sau and Säge.
    """
    return frozenset((Path(__file__).parent / "english.txt").read_text(encoding="utf-8").split())


@cache
def common_words() -> frozenset[str]:
    """The words of all spaced languages that a model for English may know."""
    return frozenset().union(*(one.common for one in SPACED))
