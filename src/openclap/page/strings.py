"""Every string of the page, in one table: key → (English, 中文). Knows nothing of gradio.

`tests/test_page.py` finds keys that are missing, unused, or whose {places} differ between the languages.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from openclap.errors import UsageError

__all__ = ["LANGUAGES", "TABLE", "Language", "Told", "say"]

Language: TypeAlias = Literal["en", "zh"]
LANGUAGES: tuple[tuple[str, Language], ...] = (("English", "en"), ("中文", "zh"))  # each in its own, as is the custom

TABLE: dict[str, tuple[str, str]] = {
    # -- head -----------------------------------------------------------------------------------------
    "head.title": ("openclap", "openclap"),
    "head.line": ("Find, name and compare sounds by words", "用文字查找、命名和比较声音"),
    "head.language": ("Language", "语言"),
    "common.sound": ("Sound: upload or record", "声音：上传或录制"),
    "common.examples": ("Examples", "示例"),
    "common.english": ("Describe sounds in English or Chinese; the models hear English, Chinese is put into it.", "可用中文或英文描述声音：模型使用英文，中文会自动转换。"),
    "common.seconds": ("{seconds} s", "{seconds} 秒"),
    # -- model ----------------------------------------------------------------------------------------
    "model.tab": ("Model", "模型"),
    "model.about": (
        "<b>mini</b> comes with openclap and works offline. Larger models hear much better: they are downloaded once, when you press the button, and not before.",
        "<b>mini</b> 随 openclap 附带，可离线使用。更大的模型听得准得多：只有按下按钮才会下载，且只下载一次。",
    ),
    "model.name": ("Model", "模型"),
    "model.info": (
        "A name from the list, a Hugging Face Hub id, or a model file or folder on the server",
        "列表中的名称、Hugging Face Hub 编号，或服务器上的模型文件或文件夹",
    ),
    "model.info_listed": ("One of this list", "请从列表中选择"),
    "model.here": ("{name}  ·  on this machine", "{name}  ·  已在本机"),
    "model.megabytes": ("{name}  ·  {megabytes} MB to download", "{name}  ·  需下载 {megabytes} MB"),
    "model.load": ("Load model", "加载模型"),
    "model.none": (
        "No model loaded yet. Press the button; until then the other tabs take {name}.",
        "尚未加载模型。请按按钮；在此之前其他页面使用 {name}。",
    ),
    "model.looking": ("Loading {name}… {seconds} s", "正在加载 {name}… {seconds} 秒"),
    "model.fetching": ("Downloading {name}: {done} of {total} MB, {seconds} s", "正在下载 {name}：{done} / {total} MB，{seconds} 秒"),
    "model.fetching_some": ("Downloading {name}: {done} MB, {seconds} s", "正在下载 {name}：{done} MB，{seconds} 秒"),
    "model.ready": ("Model ready", "模型已就绪"),
    "model.size": ("Size", "大小"),
    "model.parameters": ("{millions} million parameters", "{millions} M 个参数"),
    "model.device": ("Device", "设备"),
    "model.took": ("Loaded in", "加载用时"),
    # -- match ----------------------------------------------------------------------------------------
    "match.tab": ("Match", "匹配"),
    "match.about": ("How well does each text fit a sound?", "每段文字与声音有多相符？"),
    "match.texts": ("Texts, one a line", "文字，每行一条"),
    "match.placeholder": ("a dog barking\nheavy rain", "a dog barking\nheavy rain"),
    "match.go": ("Match", "匹配"),
    "match.result": ("Cosine similarity", "余弦相似度"),
    "match.means": (
        "The cosine of sound and text, from −1 to 1: the higher, the better the text fits; unrelated ones lie near 0. Compare texts by it; it is no probability, and how high good ones are differs between models.",
        "声音与文字的余弦，范围 −1 到 1：越高越相符，无关的接近 0。用它比较多条文字；它不是概率，相符时能有多高因模型而异。",
    ),
    # -- classify -------------------------------------------------------------------------------------
    "classify.tab": ("Classify", "分类"),
    "classify.about": ("Which of these labels fits a sound best?", "哪个标签最符合声音？"),
    "classify.labels": ("Labels, with commas between", "标签，用逗号分隔"),
    "classify.placeholder": ("dog, rain, church bells", "dog, rain, church bells"),
    "classify.go": ("Classify", "分类"),
    "classify.label": ("Label", "标签"),
    "classify.score": ("Confidence", "置信度"),
    "classify.cosine": ("Cosine", "余弦"),
    "classify.means": (
        "Confidence is shared among the labels given and sums to 100 %: it says which fits best, not whether one does. The cosine, from −1 to 1, says how well each fits by itself.",
        "置信度在给出的标签之间分配，合计 100 %：它说明哪个最相符，而不说明是否真的相符。余弦（−1 到 1）说明每个标签本身有多相符。",
    ),
    "classify.heard": ("What was heard: mel spectrogram", "听到的内容：梅尔频谱图"),
    "classify.heard_part": ("The first {seconds} s of {all} s are shown.", "显示全长 {all} 秒中的前 {seconds} 秒。"),
    "chart.time": ("seconds", "秒"),
    "chart.frequency": ("kHz", "千赫"),
    # -- search ---------------------------------------------------------------------------------------
    "search.tab": ("Search", "检索"),
    "search.about": ("Find sounds by words, by a sound, or by both.", "用文字、用声音或两者一起查找声音。"),
    "search.where": ("Where", "范围"),
    "search.examples": ("Example sounds", "示例声音"),
    "search.own": ("The library", "音库"),
    "search.words": ("Words", "文字"),
    "search.placeholder": ("rain + wind -thunder", "rain + wind -thunder"),
    "search.sound": ("Or a sound", "或一段声音"),
    "search.k": ("Number of results", "结果数量"),
    "search.filters": ("Filters", "筛选"),
    "search.without": ("Without (words)", "不含（文字）"),
    "search.tags": ("Tags, with commas between", "标记，用逗号分隔"),
    "search.folder": ("In folder", "所在文件夹"),
    "search.pattern": ("File name (* is anything)", "文件名（* 表示任意）"),
    "search.shortest": ("At least, seconds", "最短（秒）"),
    "search.longest": ("At most, seconds (0: any)", "最长（秒，0 为不限）"),
    "search.per": ("Each file once", "每个文件只出现一次"),
    "search.go": ("Search", "检索"),
    "search.found": ("{count} results", "{count} 个结果"),
    "search.nothing": ("Nothing passes these filters.", "没有声音符合这些筛选条件。"),
    "search.unlikely": ("probably not it", "可能不是"),
    "search.more": ("More like this", "查找相似"),
    "search.download": ("Download", "下载"),
    "search.like": ("Like {name}", "与 {name} 相似"),
    "search.score": ("cosine {score}", "余弦 {score}"),
    # -- moments --------------------------------------------------------------------------------------
    "moments.tab": ("Moments", "定位"),
    "moments.about": ("Where in a long recording is something heard?", "在长录音的哪个位置能听到？"),
    "moments.words": ("What to look for", "要找什么"),
    "moments.placeholder": ("a dog barking", "a dog barking"),
    "moments.k": ("Number of moments", "片段数量"),
    "moments.go": ("Find moments", "查找片段"),
    "moments.wave": ("Waveform of {name}, {length}; the marked spans can be clicked", "{name} 的波形，{length}；可点击标记的片段"),
    "moments.play": ("Play moment {rank}, {span}", "播放片段 {rank}，{span}"),
    "moments.hint": ("Click a marked span to hear it.", "点击标记的片段即可收听。"),
    "moments.csv": ("CSV", "CSV"),
    "moments.audacity": ("Audacity labels", "Audacity 标签"),
    # -- describe -------------------------------------------------------------------------------------
    "describe.tab": ("Describe", "描述"),
    "describe.about": ("What is heard in a sound, in words; in a long recording, from when to when.", "用文字说出声音里听到了什么；长录音还可说出从何时到何时。"),
    "describe.labels": ("What may be heard, with commas between (empty: AudioSet's 527 labels)", "可能听到的内容，用逗号分隔（留空：AudioSet 的 527 个标签）"),
    "describe.placeholder": ("dog, rain, church bells", "狗叫，下雨，教堂钟声"),
    "describe.timeline": ("Timeline: from when to when", "时间线：从何时到何时"),
    "describe.go": ("Describe", "描述"),
    "describe.begun": ("Reading the labels…", "正在读取标签…"),
    "describe.doing": ("Listening: {done} of {all}", "正在听：{done} / {all}"),
    "describe.tag": ("Heard", "听到"),
    "describe.confidence": ("Confidence", "置信度"),
    "describe.alike": ("Also called", "也可称为"),
    "describe.also": ("Also heard", "同时听到"),
    "describe.when": ("When", "时间"),
    "describe.length": ("In all", "合计"),
    "describe.means": (
        "Confidence says how likely each is heard by itself, so it does not sum to 100 %; what is below {least} % is left out. “Perhaps” is what is less than half sure.",
        "置信度说明每一项单独被听到的可能性，因此合计不是 100 %；低于 {least} % 的不显示。不足一半把握的会写“可能”。",
    ),
    "describe.spans": ("{count} named spans in {name}, {length}", "{name}（{length}）中有 {count} 个命名的片段"),
    "describe.picture": ("Timeline of {name}, {length}; the spans can be clicked", "{name} 的时间线，{length}；可点击片段"),
    "describe.hint": ("Click a span to hear it.", "点击片段即可收听。"),
    "describe.play": ("Play {name}", "播放 {name}"),
    "describe.others": ("others", "其他"),
    "describe.nothing": ("Nothing that can be named.", "没有可以命名的声音。"),
    "describe.more": ("{count} more spans are in the files.", "另有 {count} 个片段，见下载的文件。"),
    "describe.md": ("Markdown", "Markdown"),
    "describe.csv": ("CSV", "CSV"),
    "describe.json": ("JSON", "JSON"),
    "describe.srt": ("Subtitles SRT", "字幕 SRT"),
    "describe.vtt": ("Subtitles VTT", "字幕 VTT"),
    # -- library --------------------------------------------------------------------------------------
    "library.tab": ("Library", "音库"),
    "library.about": (
        "Sounds are indexed once and then found in milliseconds. What is indexed already is not read again.",
        "声音只需索引一次，之后毫秒内即可找到。已索引的内容不会重复读取。",
    ),
    "library.folder": ("Folder on the server", "服务器上的文件夹"),
    "library.folder_info": ("Below {roots}; choose one to see what is in it", "位于 {roots} 之下；选择后可查看其中内容"),
    "library.no_roots": ("No folder of this server may be indexed; upload files.", "此服务器不允许索引文件夹；请上传文件。"),
    "library.upload": ("Or upload sound files", "或上传声音文件"),
    "library.tags": ("Tags for these sounds (optional)", "这些声音的标记（可选）"),
    "library.go": ("Index", "建立索引"),
    "library.stop": ("Stop", "停止"),
    "library.example": ("Index the example sounds", "索引示例声音"),
    "library.indexing": ("Indexing: {done} of {total} files, {seconds} s", "正在索引：{done} / {total} 个文件，{seconds} 秒"),
    "library.begun": ("Looking for sounds… {seconds} s", "正在查找声音… {seconds} 秒"),
    "library.done": (
        "Done in {seconds} s: {added} added, {unchanged} unchanged, {updated} updated, {removed} removed, {failed} failed.",
        "完成，用时 {seconds} 秒：新增 {added}，未变 {unchanged}，更新 {updated}，移除 {removed}，失败 {failed}。",
    ),
    "library.stopped": ("Stopped; what was finished is kept.", "已停止；已完成的部分会保留。"),
    "library.failed": ("Files that could not be used", "无法使用的文件"),
    "library.failed_more": ("… and {count} more", "…… 另有 {count} 个"),
    "library.holds": ("What it holds", "内容"),
    "library.empty": ("The library holds no sounds yet.", "音库中还没有声音。"),
    "library.files": ("Files", "文件"),
    "library.windows": ("Windows", "片段"),
    "library.length": ("Length", "总时长"),
    "library.size": ("On disk", "占用空间"),
    "library.maker": ("Model", "模型"),
    "library.which": ("Show", "显示"),
    "library.map": ("Map", "地图"),
    "library.map_go": ("Draw the map", "绘制地图"),
    "library.map_how": ("Method", "方法"),
    "library.pca": ("PCA", "PCA"),
    "library.umap": ("UMAP", "UMAP"),
    "library.map_hint": ("Each point is a sound; near ones sound alike. Click one to hear it.", "每个点是一个声音；相近的点听起来相似。点击即可收听。"),
    "library.map_some": ("{shown} of {all} files are shown.", "显示 {all} 个文件中的 {shown} 个。"),
    "library.map_alt": ("Map of {count} sounds", "{count} 个声音的地图"),
    "library.map_none": ("Click a point", "请点击一个点"),
    # -- examples -------------------------------------------------------------------------------------
    "example.dog": ("A dog", "狗"),
    "example.rooster": ("A rooster", "公鸡"),
    "example.rain": ("Rain", "雨"),
    "example.siren": ("A siren", "警笛"),
    "example.bells": ("Church bells", "教堂钟声"),
    "example.minute": ("A minute outdoors", "户外一分钟"),
    # -- what gradio itself says (head.js) --------------------------------------------------------------
    "gradio.drop_audio": ("Drop Audio Here", "将音频拖放到此处"),
    "gradio.drop_file": ("Drop File Here", "将文件拖放到此处"),
    "gradio.or": ("or", "或"),
    "gradio.dashed_or": ("- or -", "- 或 -"),
    "gradio.upload": ("Click to Upload", "点击上传"),
    "gradio.complete": ("Complete", "完成"),
    "gradio.uploading": ("Uploading...", "正在上传..."),
    "gradio.error": ("Error", "出错了"),
    "gradio.record": ("Record", "录制"),
    "gradio.stop": ("Stop", "停止录音"),
    "gradio.pause": ("Pause", "暂停"),
    "gradio.play": ("Play", "播放"),
    "gradio.resume": ("Resume", "继续录音"),
    "gradio.no_microphone": ("No microphone found", "找不到麦克风"),
    "gradio.reset": ("Reset to default value", "恢复默认值"),
    "gradio.clear": ("Clear", "清除"),
    "gradio.more_tabs": ("More tabs", "更多页面"),
    "gradio.upload_source": ("Upload file", "上传文件"),
    "gradio.record_source": ("Record audio", "录制音频"),
    # -- errors ---------------------------------------------------------------------------------------
"error.inside": ("Something went wrong inside the server; its log says what.", "服务器内部出错；详情见其日志。"),
    "error.no_sound": ("There is no sound yet: upload one, record one, or take an example.", "还没有声音：请上传、录制或选用示例。"),
    "error.no_texts": ("There is no text yet: write at least one line.", "还没有文字：请至少写一行。"),
    "error.no_labels": ("There is no label yet: write some, with commas between.", "还没有标签：请写几个，用逗号分隔。"),
    "error.no_query": ("There is nothing to look for: write words or give a sound.", "没有要查找的内容：请写文字或提供声音。"),
    "error.only_not": ("Say also what should be heard, not only what should not.", "除了不想听到的，还请写出想听到的内容。"),
    "error.many": ("{count} are too many at once; give {most} or fewer.", "一次 {count} 条太多；请不要超过 {most} 条。"),
    "error.long": ("The sound lasts {minutes} minutes; give one of {most} or less.", "声音长达 {minutes} 分钟；请不要超过 {most} 分钟。"),
    "error.sound": ("{name} cannot be used: it {cause}.", "{name} 无法使用：文件损坏、不是声音或没有权限。"),
    "error.empty_sound": ("{name} holds no sound at all.", "{name} 中没有任何声音。"),
    "error.no_model": ("The name of the model is empty; choose one from the list.", "模型名称为空；请从列表中选择。"),
    "error.unknown_model": (
        "There is no model called “{name}”; choose one from the list, or check the spelling.",
        "没有名为“{name}”的模型；请从列表中选择，或检查拼写。",
    ),
    "error.model_not_here": (
        "“{name}” is not on this machine and cannot be downloaded now; check the network, or take mini.",
        "“{name}”不在本机，目前也无法下载；请检查网络，或使用 mini。",
    ),
    "error.model_refused": ("“{name}” may not be loaded here; choose one from the list.", "此处不允许加载“{name}”；请从列表中选择。"),
    "error.bad_model": ("“{name}” is broken or no CLAP model; choose another one.", "“{name}”已损坏或不是 CLAP 模型；请选择其他模型。"),
    "error.missing": ("This needs {what}, which is not installed on the server.", "这需要 {what}，但服务器上没有安装。"),
    "error.mismatch": (
        "The library was made by another model ({maker}); load that one, or search the example sounds.",
        "此音库由另一个模型（{maker}）建立；请加载该模型，或在示例声音中检索。",
    ),
    "error.empty_library": (
        "The library holds no sounds yet; fill it on the Library tab, or search the example sounds.",
        "音库中还没有声音；请在“音库”页添加，或在示例声音中检索。",
    ),
    "error.library": ("The library cannot be used now; the server's log says why.", "音库目前无法使用；原因见服务器日志。"),
    "error.nothing_chosen": ("Choose a folder or upload files first.", "请先选择文件夹或上传文件。"),
    "error.outside": ("This folder may not be used; choose one below {roots}.", "不能使用此文件夹；请选择 {roots} 之下的文件夹。"),
    "error.outside_links": ("{count} files in this folder are links to places outside {roots}, so it is not indexed.", "此文件夹中有 {count} 个文件链接到 {roots} 之外，因此未索引。"),
    "error.no_sounds": ("There are no sound files in this folder.", "此文件夹中没有声音文件。"),
    "error.full": ("There is no room for more uploads; ask whoever runs this server.", "没有空间再上传；请联系服务器管理员。"),
    "error.busy": ("Another indexing is at work; wait until it is done.", "另一个索引正在进行；请等待完成。"),
    "error.gone": ("This sound is no longer kept; search again.", "此声音已不再保留；请重新检索。"),
    "error.seconds": ("The shortest length is above the longest.", "最短时长大于最长时长。"),
    "error.input": ("This cannot be done as it was asked; check what you wrote.", "无法按此要求完成；请检查输入。"),
}  # fmt: skip


def say(key: str, language: Language, **values: Any) -> str:
    """A string of the table, its {places} filled."""
    text = TABLE[key][0 if language == "en" else 1]
    return text.format(**values) if values else text


class Told(UsageError):
    """Wrong use of the page: a key of the table and its values, so that it can be told in any language."""

    def __init__(self, key: str, **values: Any) -> None:
        super().__init__(say(key, "en", **values))
        self.key = key
        self.values = values
