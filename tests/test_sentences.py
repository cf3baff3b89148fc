"""Words without gender, in sentences that stay English."""

from __future__ import annotations

import pytest

from openclap.sentences import make_debiaser


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("She speaks", "They speak"),  # it was "They speaks"
        ("a woman laughs while she watches a dog", "a person laughs while they watch a dog"),
        ("he cries, he goes, he does, he passes", "they cry, they go, they do, they pass"),
        ("she buzzes, sneezes", "they buzz, sneezes"),
        ("she sneezes and breathes", "they sneeze and breathe"),
        ("HE SHOUTS", "THEY SHOUT"),
        ("he loudly speaks and laughs.", "they loudly speak and laugh."),
        ("she always sings and plays the piano", "they always sing and play the piano"),
        ("she laughs and dogs bark", "they laugh and dogs bark"),
        ("she sang", "they sang"),
        ("He isn’t here, she doesn't speak", "They aren't here, they don't speak"),
        ("is she speaking? does he sing?", "are they speaking? do they sing?"),
        ("he's been singing, she's singing", "they've been singing, they're singing"),
        ("a man talks to her.", "a person talks to them."),
        ("he talks to her while her dog barks", "they talk to them while their dog barks"),
        ("the voice is hers, he hears himself", "the voice is theirs, they hear themselves"),
        ("A policeman and two firemen", "A police officer and two firefighters"),
        ("The policeman’s whistle", "The police officer’s whistle"),
        ("a salesman, a mailman, a cameraman, a businessman", "a salesperson, a mail carrier, a camera operator, a businessperson"),
        ("an actress and a waitress with a housewife", "an actor and a waiter with a homemaker"),
        ("man-made noise, a woman's voice, the women's choir", "man-made noise, a person's voice, the people's choir"),
        ("a human in a manhole, a mankini, the others, sheep", "a human in a manhole, a mankini, the others, sheep"),
        ("the bus passes", "the bus passes"),
    ],
)  # fmt: skip
def test_words_without_gender(text: str, expected: str) -> None:
    assert make_debiaser()(text) == expected


def test_a_table_of_ones_own_changes_no_verbs(tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "t.csv").write_text("word,instead\nhe,she\n")
    assert make_debiaser(tmp_path / "t.csv")("He speaks to her") == "She speaks to her"
