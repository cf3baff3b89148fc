"""Every string of the page, in one table: key → (English, 中文). Knows nothing of gradio.

In a {place} a number may bring its word, `{count:result|results}`: one of it, and any other number of it;
`{millions:万}` is a number of millions as Chinese counts. `tests/test_page_strings.py` finds keys that are missing,
unused, or whose {places} differ between the languages.
"""

from __future__ import annotations

import string
from typing import Any, Literal, TypeAlias

from openclap.errors import UsageError

__all__ = ["LANGUAGES", "TABLE", "InputError", "Language", "say"]

Language: TypeAlias = Literal["en", "zh"]
LANGUAGES: dict[Language, str] = {"en": "English", "zh": "中文"}  # each in its own, as is the custom

TABLE: dict[str, tuple[str, str]] = {
    # -- head -----------------------------------------------------------------------------------------
    "head.line": ("Find, name and compare sounds by words", "用文字查找、命名和比较声音"),
    "head.english": (
        "Write English or Chinese; Chinese is translated for the model.",
        "可用中文或英文书写；中文会自动翻译给模型。",
    ),
    "model.name": ("Model", "模型"),
    "model.load": ("Load model", "加载模型"),
    "model.bundled": ("{name} · here", "{name} · 已在本机"),
    "model.megabytes": ("{name} · {megabytes} MB to download", "{name} · 需下载 {megabytes} MB"),
    "model.none": ("Not loaded yet; the first question loads it too.", "尚未加载；第一次提问时也会加载。"),
    "model.loading": ("Loading {name}…", "正在加载 {name}…"),
    "model.fetching": ("Downloading {name}: {done} of {total} MB", "正在下载 {name}：{done} / {total} MB"),
    "model.ready": ("Model ready", "模型已就绪"),
    "model.facts": ("{name}, {millions} million parameters, {device}", "{name}，{millions:万}个参数，{device}"),
    # -- every tab ------------------------------------------------------------------------------------
    "sound.label": ("Sound: upload or record", "声音：上传或录制"),
    "common.examples": ("Examples", "示例"),
    "common.stop": ("Stop", "停止"),
    "common.label": ("Label", "标签"),
    "common.confidence": ("Confidence", "置信度"),
    "common.cosine": ("Cosine", "余弦"),
    "common.empty": ("The answer will be here.", "结果将显示在这里。"),
    "common.silent": (
        "Nothing is heard in this sound, so no answer means anything.",
        "这段声音里什么也听不到，因此结果没有意义。",
    ),
    "common.unknown": ("The model does not know: {words}", "模型不认识：{words}"),
    "common.doing": ("Listening: {done} of {total}", "正在听：{done} / {total}"),
    # -- match ----------------------------------------------------------------------------------------
    "match.tab": ("Match", "匹配"),
    "match.about": ("Audio–text matching: how well does each text fit a sound?", "音文匹配：每段文字与声音有多相符？"),
    "match.texts": ("Texts, one a line", "文字，每行一条"),
    "match.placeholder": ("a dog barking\nheavy rain", "狗叫\n大雨"),
    "match.button": ("Match", "匹配"),
    "match.text": ("Text", "文字"),
    "match.means": (
        "The cosine of sound and text, from −1 to 1: the higher, the better the text fits; unrelated ones lie near 0."
        " It is no probability, and how high good ones are differs between models.",
        "声音与文字的余弦，范围 −1 到 1：越高越相符，无关的接近 0。它不是概率，相符时能有多高因模型而异。",
    ),
    # -- classify -------------------------------------------------------------------------------------
    "classify.tab": ("Classify", "分类"),
    "classify.about": ("Zero-shot classification: which label fits a sound best?", "零样本分类：哪个标签最符合声音？"),
    "classify.labels": ("Labels, with commas between", "标签，用逗号分隔"),
    "classify.placeholder": ("dog, rain, church bells", "狗，雨，教堂钟声"),
    "classify.button": ("Classify", "分类"),
    "classify.means": (
        "Confidence is shared among the labels and sums to 100 %: it says which fits best, not whether one does. The"
        " cosine, from −1 to 1, says how well each fits by itself.",
        "置信度在各标签之间分配，合计 100 %：它说明哪个最相符，而不说明是否真的相符。余弦（−1 到 1）说明每个标签本身有多相符。",
    ),
    # -- find -----------------------------------------------------------------------------------------
    "find.tab": ("Find", "检索"),
    "find.about": (
        "Text-to-audio retrieval: which of some sounds fits the words best?",
        "文本检索音频：哪段声音最符合文字？",
    ),
    "find.where": ("Where", "范围"),
    "find.demo": ("{count:demo sound|demo sounds}", "{count} 个示例声音"),
    "find.own": ("My sounds", "我的声音"),
    "find.upload": (
        "Sounds, or a ZIP: {count} at most, of {minutes} min",
        "多个声音或 ZIP：最多 {count} 个，各 {minutes} 分钟",
    ),
    "find.words": ("Words", "文字"),
    "find.placeholder": ("rain + wind -thunder", "雨 + 风 -雷声"),
    "find.results": ("Number of results", "结果数量"),
    "find.button": ("Find", "检索"),
    "find.preparing": ("Making the demo sounds…", "正在生成示例声音…"),
    "find.heading": (
        "{count:result|results} of {total:sound|sounds}, best first",
        "共 {total} 个声音，{count} 个结果，由高到低",
    ),
    "find.unlikely": ("probably not it", "可能不是"),
    "find.none": ("Nothing here sounds like that; the nearest:", "这里没有这样的声音；最接近的是："),
    "find.download": ("Download", "下载"),
    "find.failed": ("Files that cannot be used", "无法使用的文件"),
    "find.means": (
        "The cosine of sound and words, from −1 to 1; a player begins where the sound fits best.",
        "声音与文字的余弦，范围 −1 到 1；播放从最相符的位置开始。",
    ),
    # -- describe -------------------------------------------------------------------------------------
    "describe.tab": ("Describe", "描述"),
    "describe.about": ("What is heard, in words, and from when to when.", "用文字说出听到了什么，以及从何时到何时。"),
    "describe.labels": (
        "What may be heard, with commas between (empty: AudioSet's 527 labels)",
        "可能听到的内容，用逗号分隔（留空：AudioSet 的 527 个标签）",
    ),
    "describe.button": ("Describe", "描述"),
    "describe.reading": ("Reading the labels…", "正在读取标签…"),
    "describe.tag": ("Heard", "听到"),
    "describe.timeline": ("From when to when", "从何时到何时"),
    "describe.picture": ("Timeline of {name}, {length}", "{name} 的时间线，{length}"),
    "describe.others": ("others", "其他"),
    "describe.means": (
        "Confidence says how likely each is heard by itself; what is below {least} % is left out.",
        "置信度说明每一项单独被听到的可能性；低于 {least} % 的不显示。",
    ),
    # -- examples -------------------------------------------------------------------------------------
    "example.dog": ("Dog", "狗叫"),
    "example.rooster": ("Rooster", "公鸡"),
    "example.rain": ("Rain", "下雨"),
    "example.siren": ("Siren", "警笛"),
    "example.bells": ("Church bells", "教堂钟声"),
    "example.outdoors": ("A minute outdoors", "户外一分钟"),
    # -- why a sound cannot be used (error_messages.CAUSES) ---------------------------------------------
    "cause.no_sound": ("it is not a sound, or is damaged", "它不是声音，或已损坏"),
    "cause.no_audio": ("there is no audio in it", "其中没有音频"),
    "cause.codec": (
        "its audio is in a codec that cannot be decoded here; convert it to FLAC",
        "其音频编码无法在此解码；请转换为 FLAC",
    ),
    "cause.empty": ("it holds no sound at all", "其中没有任何声音"),
    "cause.silent": ("nothing is heard in it", "其中听不到任何声音"),
    "cause.not_finite": ("it holds samples that are no numbers; repair it", "其中含有非数值的采样；请修复"),
    "cause.loud": ("its samples are far too large; scale it down", "其采样值过大；请调低"),
    "cause.header": ("its header claims an impossible sampling rate", "其文件头声称的采样率不可能存在"),
    "cause.long": ("it is longer than is taken here; give a part of it", "它超过此处允许的长度；请截取一部分"),
    "cause.track": ("it has no such track of sound", "其中没有这条音轨"),
    "cause.permission": ("there is no permission to read it", "没有读取权限"),
    "cause.gone": ("it is not there any more", "它已不存在"),
    "cause.no_file": ("it is no ordinary file", "它不是普通文件"),
    "cause.link": ("it is a link, or lies outside of the folders that may be used", "它是链接，或位于可用文件夹之外"),
    "cause.changed": ("it is no longer the file that was indexed", "它已不是索引时的文件"),
    "cause.unreadable": ("it cannot be read", "它无法读取"),
    "cause.other": ("it is damaged, no sound, or may not be read", "文件损坏、不是声音或没有权限"),
    # -- errors ---------------------------------------------------------------------------------------
    "error.inside": ("Something went wrong inside the server; its log says what.", "服务器内部出错；详情见其日志。"),
    "error.no_sound": (
        "There is no sound yet: upload one, record one, or take an example.",
        "还没有声音：请上传、录制或选用示例。",
    ),
    "error.no_sounds": (
        "There are no sounds yet: upload some, or search the demo sounds.",
        "还没有声音：请上传，或在示例声音中检索。",
    ),
    "error.no_texts": ("There is no text yet: write at least one line.", "还没有文字：请至少写一行。"),
    "error.no_labels": (
        "There is no label yet: write some, with commas between.",
        "还没有标签：请写几个，用逗号分隔。",
    ),
    "error.no_query": ("There is nothing to look for: write some words.", "没有要查找的内容：请写文字。"),
    "error.only_not": (
        "Say also what should be heard, not only what should not.",
        "除了不想听到的，还请写出想听到的内容。",
    ),
    "error.many": (
        "{count} are too many at once; give {most} or fewer.",
        "一次 {count} 条太多；请不要超过 {most} 条。",
    ),
    "error.words": (
        "One of them has {count:character|characters}; describe a sound in a few words, {most:character|characters} at most.",
        "其中一条有 {count} 个字符；请用几个词描述声音，不超过 {most} 个字符。",
    ),
    "error.sound": ("{name} cannot be used: {why}.", "{name} 无法使用：{why}。"),
    "error.zip": ("{name} cannot be unpacked: it is damaged, or has a password.", "{name} 无法解压：已损坏或有密码。"),
    "error.full": (
        "There is no room for so much; give fewer or shorter sounds, or come back later.",
        "空间不足；请减少或缩短声音，或稍后再试。",
    ),
    "error.model_refused": (
        "“{name}” may not be loaded here; choose one from the list.",
        "此处不允许加载“{name}”；请从列表中选择。",
    ),
    "error.model_not_here": (
        "“{name}” is not on this machine and cannot be downloaded now.",
        "“{name}”不在本机，目前也无法下载。",
    ),
    "error.bad_model": (
        "“{name}” is broken or no CLAP model; choose another one.",
        "“{name}”已损坏或不是 CLAP 模型；请选择其他模型。",
    ),
    "error.missing": (
        "This needs {what}, which is not installed on the server.",
        "这需要 {what}，但服务器上没有安装。",
    ),
    "error.library": (
        "These sounds cannot be searched now; the server's log says why.",
        "目前无法检索这些声音；原因见服务器日志。",
    ),
    "error.input": ("This cannot be done as it was asked; check what you wrote.", "无法按此要求完成；请检查输入。"),
    "error.steps": ("{what} What can be done: {steps}.", "{what}可以这样做：{steps}。"),
    "error.or": (", or ", "，或"),
    # -- what can be done: a row for each of `errors.HINTS` ---------------------------------------------
    "hint.alerts": ("write what to listen for", "写下要监听的声音"),
    "hint.carry": ("check the network, or take mini", "检查网络，或使用 mini"),
    "hint.fill": ("upload some sounds", "上传一些声音"),
    "hint.models": ("choose one from the list", "从列表中选择"),
    "hint.other_library": ("search the demo sounds", "在示例声音中检索"),
    "hint.pull": ("take mini", "使用 mini"),
    "hint.rate": ("give the rate of the samples", "给出采样率"),
    "hint.reembed": ("upload the sounds again", "重新上传声音"),
    "hint.refit": ("ask whoever runs this server to teach it anew", "请服务器管理员重新训练"),
    "hint.repair": ("upload the sounds again", "重新上传声音"),
    "hint.restart": ("start it anew", "重新开始"),
    "hint.same_model": ("load the model that made it", "加载建立它的模型"),
    "hint.teach": ("ask whoever runs this server to teach it", "请服务器管理员训练它"),
    "hint.train_head": ("train a head for this model", "为此模型训练分类头"),
    "hint.use_model": ("load the model {name}", "加载模型 {name}"),
}


def say(key: str, language: Language, **values: Any) -> str:
    """A string of the table, its {places} filled."""
    text = TABLE[key][0 if language == "en" else 1]
    return _FORMATTER.vformat(text, (), values) if values else text


class _Formatter(string.Formatter):
    """`str.format` whose numbers bring their words."""

    def format_field(self, value: Any, spec: str) -> Any:
        if "|" in spec:
            one, other = spec.split("|")
            return f"{value} {one if str(value) == '1' else other}"
        if spec == "万":
            return f"{100 * float(value):.0f} 万" if float(value) < 100 else f"{float(value) / 100:.3g} 亿"
        return super().format_field(value, spec)


_FORMATTER = _Formatter()


class InputError(UsageError):
    """Wrong use of the page: a key of the table and its values, so that it can be said in any language."""

    def __init__(self, key: str, **values: Any) -> None:
        super().__init__(say(key, "en", **values))
        self.key = key
        self.values = values
