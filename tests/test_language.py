"""Chinese words find what English ones find; English ones are left alone."""

from __future__ import annotations

import csv
import json
import runpy
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

from openclap import CLAP
from openclap.cli.classify import labels_given
from openclap.errors import LanguageWarning, ModelNotHere, UsageError
from openclap.labels import LISTS, labels
from openclap.language import Translator, has_foreign, read_lexicon, to_simplified
from openclap.language.grammar import split_words, translate_phrase
from openclap.library.query import embed_query, parse_query

RUNS = Path(__file__).parents[1] / "runs"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENCLAP_TRANSLATE", raising=False)
    monkeypatch.delenv("OPENCLAP_LEXICON", raising=False)


@pytest.fixture(scope="module")
def mini() -> CLAP:
    return CLAP.from_pretrained("mini", threads=1)


@pytest.mark.parametrize(
    ("chinese", "english"),
    [
        ("狗叫", "dog barking"),
        ("犬吠", "dog barking"),
        ("狗的叫声", "dog barking"),
        ("一只狗在叫", "dog barking"),
        ("遠處的狗吠聲", "distant dog barking"),
        ("很多鸟在树林里叫", "many birds chirping in the forest"),
        ("窗外在下雨", "rain outside the window"),
        ("雨打在窗户上", "rain on a window"),
        ("敲了三下门", "door knock"),
        ("打了个响亮的喷嚏", "loud sneeze"),
        ("把纸撕了", "tearing paper"),
        ("在厨房里切菜", "chopping food in the kitchen"),
        ("狗叫和雨声", "dog barking and rain"),
        ("狗叫，雨声、警笛。", "dog barking, rain, siren"),
        ("鋼琴與小提琴", "piano and violin"),
        ("这是狗叫的声音。", "dog barking"),
    ],
)
def test_phrases(chinese: str, english: str) -> None:
    assert translate_phrase(to_simplified(chinese), read_lexicon()) == (english, [])


def test_the_fewest_words() -> None:
    """Longest match from the left alone would take 机关 and lose the gun."""
    assert [word.zh for word in split_words("机关枪声", read_lexicon())] in (["机关枪", "声"], ["机关", "枪声"])
    assert [word.zh for word in split_words("火车汽笛", read_lexicon())] == ["火车汽笛"]
    assert [(w.zh, w.en) for w in split_words("魑魅狗", read_lexicon())] == [("魑魅", None), ("狗", "dog")]
    assert split_words("", read_lexicon()) == []


def test_mixed_texts_and_what_is_left_alone() -> None:
    bridge = Translator()
    same = ["rain", "", "a dog — “barking”", "café, über", "Лай собаки", "狗"[:0], "３ ＋ ４，ok"]
    assert bridge(same) == same
    assert bridge(["This is a sound of 狗叫.", "3只狗在叫 loudly", "DJ打碟"]) == [
        "This is a sound of dog barking.",
        "3 dog barking loudly",
        "DJ scratching vinyl record",
    ]
    assert bridge(["狗\u200b叫", "ＤＯＧ　狗叫", "狗\ufe0f叫２"]) == [
        "dog barking",
        "DOG dog barking",
        "dog barking 2",
    ]  # as copied from a page
    assert Translator("off")(["狗叫"]) == ["狗叫"]
    assert [has_foreign(text) for text in ("狗", "犬の声", "개", "dog", "é，")] == [True, True, True, False, False]


def test_unknown_words_are_named_once() -> None:
    bridge = Translator()
    with pytest.warns(LanguageWarning, match=r"left out.*魑魅，魍魉") as told:
        assert bridge(["魑魅狗叫", "魍魉下雨", "魑魅雷声"]) == ["dog barking", "rain", "thunder"]
    assert len(told) == 1
    for text in ("魑魅", "魑魅的声音", "こんにちは", "개소리"):
        with pytest.raises(UsageError, match=r"OPENCLAP_LEXICON.*translate, or OPENCLAP_TRANSLATE"):
            bridge([text])
    with pytest.raises(UsageError, match="names no sound"):
        bridge(["的"])


def test_a_lexicon_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "own.csv"
    own.write_text("zh,en\n魑魅,forest demon howling\n狗叫,hound baying\n計程車,taxi\n啦,\n", encoding="utf-8-sig")
    assert Translator(lexicon=own)(["魑魅啦", "狗叫", "计程车", "雨"]) == [
        "forest demon howling",
        "hound baying",
        "taxi",
        "rain",
    ]
    monkeypatch.setenv("OPENCLAP_LEXICON", str(own))
    assert Translator()(["狗叫"]) == ["hound baying"]
    for content, message in (("狗,dog\n", "columns"), ("zh,en\n狗\n", "line 2"), ("zh,en\n,x\n", "line 2"), ("zh,en\ndog,狗\n", "zh is 'dog'"), ("zh,en\n狗,犬\n", "en '犬'")):  # fmt: skip
        own.write_text(content, encoding="utf-8")
        with pytest.raises(UsageError, match=message):
            read_lexicon(own)
    own.write_bytes(b"zh,en\n\0\1\2,x\n")
    with pytest.raises(UsageError, match="UTF-8"):
        read_lexicon(own)
    with pytest.raises(UsageError, match="cannot be read"):
        read_lexicon(tmp_path / "none.csv")


def test_the_shipped_lexicon() -> None:
    """Simplified Chinese, plain English, every word once; every shipped Chinese label and every word of it is known."""
    import openclap.language

    with (Path(openclap.language.__file__).parent / "zh.csv").open(encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    words = [zh for zh, _ in rows]
    assert len(rows) > 2500
    assert len(set(words)) == len(words)
    assert [zh for zh in words if to_simplified(zh) != zh] == []
    assert [en for _, en in rows if not en.isascii() or en != en.strip()] == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in LISTS:
            chinese = labels(f"{name}.zh")
            assert len(chinese) == len(labels(name)) == len(set(chinese))
            said = Translator()(chinese)
            assert len(set(said)) >= len(said) - 2  # one label's English is not another's
    with pytest.raises(UsageError, match="no list of labels"):
        labels("audioset.it")


def test_chinese_and_english_give_the_same_vectors(mini: CLAP) -> None:
    texts = ["狗叫", "dog barking", "遠處的雷聲", "distant thunder", "rain"]
    rows = mini.encode_text(texts)
    assert np.allclose(rows[0], rows[1], atol=1e-6)
    assert np.allclose(rows[2], rows[3], atol=1e-6)
    alone = CLAP.from_pretrained("mini", threads=1, translate="off")
    assert np.allclose(alone.encode_text("rain")[0], rows[4], atol=1e-6)
    assert float(alone.encode_text("狗叫")[0] @ rows[1]) < 0.9
    assert alone.recipe()["translate"] == "off"
    noise = (np.random.default_rng(0).normal(size=32_000).astype(np.float32) * 0.1, 32_000)
    found = mini.classify(noise, ["狗叫", "下雨", "风声"])
    same = {label.label: label for label in mini.classify(noise, ["dog barking", "rain", "wind"])}
    assert {label.label for label in found} == {"狗叫", "下雨", "风声"}
    assert [label.similarity for label in found] == sorted((s.similarity for s in same.values()), reverse=True)
    assert [m.text for m in mini.match(noise, ["一只狗在叫", "rain"])] == ["一只狗在叫", "rain"]
    with pytest.raises(UsageError, match="魑魅"):  # though its template is English
        mini.classify(noise, ["狗叫", "魑魅"])


def test_queries(mini: CLAP) -> None:
    assert parse_query("rain + 狗叫 -雷声") == (["rain", "狗叫"], ["雷声"])
    assert parse_query("雨声+狗叫＋警笛 －“汽车 喇叭”") == (["雨声", "狗叫", "警笛"], ["汽车 喇叭"])
    assert parse_query("lo-fi + 8-bit -noise") == (["lo-fi", "8-bit"], ["noise"])
    assert np.array_equal(embed_query(mini, "rain+狗叫 -雷声"), embed_query(mini, "rain + dog barking -thunder"))
    assert labels_given("狗叫，雨声、警笛, rain", None) == ["狗叫", "雨声", "警笛", "rain"]
    assert labels_given(None, Path("esc50.zh")) == labels("esc50.zh")


def test_everyday_phrases_find_their_label(mini: CLAP) -> None:
    """runs/chinese.csv, written after the lexicon: nearly as good as English sentences of the same meaning (LOG.md)."""
    report = runpy.run_path(str(RUNS / "chinese.py"))["phrases"](mini)
    assert report["of which nothing is known"] == 0
    assert report["Chinese"] > 0.8
    assert report["Chinese"] > report["English"] - 0.08


@pytest.mark.filterwarnings("ignore:.*unrelated texts")  # those of the health check are no words of its toy tokenizer
def test_a_tower_that_reads_chinese_is_left_alone(tmp_path: Path) -> None:
    """A multilingual text tower taught by an English one: it knows the words, and the bridge steps aside."""
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers

    han = [chr(c) for c in range(0x4E00, 0x4E00 + 1000)]
    pairs = [("dog barking", "狗叫"), ("rain", "雨"), ("thunder", "雷声"), ("siren", "警笛")] * 6
    words = [
        "<s>",
        "<pad>",
        "</s>",
        "<unk>",
        *han,
        *"狗叫雷声警笛雨",
        *sorted({w for en, _ in pairs for w in en.split()}),
    ]
    vocabulary = {word: i for i, word in enumerate(dict.fromkeys(words))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Whitespace(),
            pre_tokenizers.Split(__import__("tokenizers").Regex("[\u4e00-\u9fff]"), "isolated"),
        ]
    )
    student = tmp_path / "student"
    transformers.set_seed(0)
    transformers.XLMRobertaModel(
        transformers.XLMRobertaConfig(
            vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
            max_position_embeddings=90, type_vocab_size=1, pad_token_id=1,
            hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        )
    ).save_pretrained(student)  # fmt: skip
    tokenizer.save(str(student / "tokenizer.json"))
    run = runpy.run_path(str(RUNS / "multilingual.py"))
    report = run["distil"](
        "mini", str(student), tmp_path / "out", pairs, epochs=500, batch=12, rate=1e-2, held=0.1, progress=False
    )
    assert report["cosine of translations"] > 0.9  # repeated pairs: that it can be taught, not that it generalises
    taught, teacher = CLAP.from_pretrained(tmp_path / "out"), CLAP.from_pretrained("mini")
    assert taught.in_english(["狗叫"]) == ["狗叫"]
    cosines = taught.encode_text(["狗叫", "雨", "siren"]) @ teacher.encode_text(["dog barking", "rain", "siren"]).T
    assert cosines.diagonal().min() > 0.9
    assert cosines.argmax(1).tolist() == [0, 1, 2]
    noise = (np.random.default_rng(0).normal(size=32_000).astype(np.float32) * 0.1, 32_000)
    assert float((taught.encode_audio(noise) @ teacher.encode_audio(noise).T)[0, 0]) > 0.9999
    sentences = tmp_path / "pairs.csv"
    sentences.write_text("en,zh,de\nrain,雨,Regen\nsiren,,Sirene\n", encoding="utf-8")
    assert run["read_pairs"]([sentences]) == [("rain", "雨"), ("rain", "Regen"), ("siren", "Sirene")]
    assert ("dog barking", "狗叫") in run["read_pairs"]([])


@pytest.fixture(scope="module")
def translation_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A T5 of random weights with a tokenizer that spells."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = ["<pad>", "</s>", "<unk>", "狗", "叫", "雨", "声", "dog", "rain", "a", "barking"]
    fast = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    fast.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    fast.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    folder = tmp_path_factory.mktemp("translation")
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=fast, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    transformers.T5ForConditionalGeneration(
        transformers.T5Config(
            vocab_size=len(words), d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2,
            decoder_start_token_id=0, pad_token_id=0, eos_token_id=1,
        )
    ).save_pretrained(folder)  # fmt: skip
    return folder


def test_a_translation_model(translation_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Used as asked for by argument or variable, once a text, the same alone and in a batch; only on what is not English."""
    from openclap.language.seq2seq import Seq2Seq

    asked: list[list[str]] = []
    real = Seq2Seq.__call__

    def counted(self: Seq2Seq, texts: list[str]) -> list[str]:
        asked.append(list(texts))
        return ["dog"] * len(texts) if real(self, texts) is None else [f"dog {len(text)}" for text in texts]

    plain = Seq2Seq(str(translation_model))
    assert plain(["狗叫", "雨声"]) == plain(["狗叫"]) + plain(["雨声"])
    monkeypatch.setattr(Seq2Seq, "__call__", counted)
    monkeypatch.setenv("OPENCLAP_TRANSLATE", str(translation_model))
    bridge = Translator()
    assert bridge(["This is 狗叫.", "rain", "雨声声", "狗叫"]) == ["This is dog 2.", "rain", "dog 3", "dog 2"]
    assert bridge(["狗叫"]) == ["dog 2"]
    assert asked == [["狗叫", "雨声声"]]
    assert Translator("off")(["狗叫"]) == ["狗叫"]
    with pytest.raises(ModelNotHere, match="nobody/none"):
        Translator("nobody/none")(["狗叫"])
    with pytest.raises(UsageError, match="translate is ''"):
        Translator("")
    with pytest.raises(ModelNotHere, match="no translation model"):
        Translator(str(Path(__file__).parent))(["狗叫"])


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_broken_translation_model_is_one_sentence(translation_model: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(translation_model, tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").unlink()
    (tmp_path / "model" / name).write_bytes(b"rubbish")
    with pytest.raises(ModelNotHere, match="no translation model"):
        Translator(str(tmp_path / "model"))(["狗叫"])


def test_the_command_line(tmp_path: Path) -> None:
    import soundfile
    from typer.testing import CliRunner

    from openclap.cli.app import app

    sound = tmp_path / "noise.wav"
    soundfile.write(sound, np.random.default_rng(0).normal(size=32_000) * 0.1, 32_000)
    done = CliRunner().invoke(app, ["classify", str(sound), "--labels", "狗叫，雨声、rain", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout.splitlines()[-1])["labels"]
    assert {label["label"] for label in found} == {"狗叫", "雨声", "rain"}
    with pytest.warns(LanguageWarning, match="does not know 狗"):
        off = CliRunner().invoke(app, ["match", str(sound), "狗叫", "--translate", "off", "--json"])
    on = CliRunner().invoke(app, ["match", str(sound), "狗叫", "--json"])
    assert json.loads(off.stdout)["score"] != json.loads(on.stdout)["score"]
