"""Every string of the page, in one table: key → (English, 中文). Knows nothing of gradio.

In a {place} a number may bring its word, `{count:result|results}`: one of it, and any other number of it;
`{millions:万}` is a number of millions as Chinese counts. `tests/test_page.py` finds keys that are missing, unused, or
whose {places} differ between the languages.
"""

from __future__ import annotations

import string
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
    "common.english": (
        "Describe sounds in English or Chinese; the models hear English, Chinese is put into it.",
        "可用中文或英文描述声音：模型使用英文，中文会自动转换。",
    ),
    "common.detectors": ("Or what you have taught", "或您训练的检测器"),
    "common.detectors_info": (
        "Taught and kept on the tab Teach, or by openclap on this machine",
        "在“训练”页保存的，或在本机用 openclap 训练的",
    ),
    "common.stop": ("Stop", "停止"),
    "common.stopped": ("Stopped.", "已停止。"),
    "common.closer": ("Listening closer: {done} of {all}", "正在细听：{done} / {all}"),
    "common.doing": ("Listening: {done} of {all}", "正在听：{done} / {all}"),
    "common.seconds": ("{seconds} s", "{seconds} 秒"),
    # -- model ----------------------------------------------------------------------------------------
    "model.tab": ("Model", "模型"),
    "model.about": (
        (
            "<b>mini</b> comes with openclap and works offline. Larger models hear much better: they are downloaded"
            " once, when you press the button, and not before."
        ),
        "<b>mini</b> 随 openclap 附带，可离线使用。更大的模型听得准得多：只有按下按钮才会下载，且只下载一次。",
    ),
    "model.name": ("Model", "模型"),
    "model.info": (
        "A name from the list, a Hugging Face Hub id, or a model file or folder on the server",
        "列表中的名称、Hugging Face Hub 编号，或服务器上的模型文件或文件夹",
    ),
    "model.info_listed": (
        "One of this list; whoever runs this server can put others on it",
        "请从列表中选择；服务器管理员可添加其他模型",
    ),
    "model.here": ("{name}  ·  on this machine", "{name}  ·  已在本机"),
    "model.megabytes": ("{name}  ·  {megabytes} MB to download", "{name}  ·  需下载 {megabytes} MB"),
    "model.load": ("Load model", "加载模型"),
    "model.none": (
        "No model loaded yet. Press the button; until then the other tabs take {name}.",
        "尚未加载模型。请按按钮；在此之前其他页面使用 {name}。",
    ),
    "model.looking": ("Loading {name}… {seconds} s", "正在加载 {name}… {seconds} 秒"),
    "model.fetching": (
        "Downloading {name}: {done} of {total} MB, {seconds} s",
        "正在下载 {name}：{done} / {total} MB，{seconds} 秒",
    ),
    "model.fetching_some": ("Downloading {name}: {done} MB, {seconds} s", "正在下载 {name}：{done} MB，{seconds} 秒"),
    "model.ready": ("Model ready", "模型已就绪"),
    "model.size": ("Size", "大小"),
    "model.parameters": ("{millions} million parameters", "{millions:万}个参数"),
    "model.device": ("Device", "设备"),
    "model.took": ("Loaded in", "加载用时"),
    # -- match ----------------------------------------------------------------------------------------
    "match.tab": ("Match", "匹配"),
    "match.about": ("How well does each text fit a sound?", "每段文字与声音有多相符？"),
    "match.texts": ("Texts, one a line", "文字，每行一条"),
    "match.placeholder": ("a dog barking\nheavy rain", "狗叫\n大雨"),
    "match.go": ("Match", "匹配"),
    "match.result": ("Cosine similarity", "余弦相似度"),
    "match.means": (
        (
            "The cosine of sound and text, from −1 to 1: the higher, the better the text fits; unrelated ones lie near"
            " 0. Compare texts by it; it is no probability, and how high good ones are differs between models."
        ),
        "声音与文字的余弦，范围 −1 到 1：越高越相符，无关的接近 0。用它比较多条文字；它不是概率，相符时能有多高因模型而异。",
    ),
    # -- classify -------------------------------------------------------------------------------------
    "classify.tab": ("Classify", "分类"),
    "classify.about": ("Which of these labels fits a sound best?", "哪个标签最符合声音？"),
    "classify.labels": ("Labels, with commas between", "标签，用逗号分隔"),
    "classify.placeholder": ("dog, rain, church bells", "狗，雨，教堂钟声"),
    "classify.go": ("Classify", "分类"),
    "classify.label": ("Label", "标签"),
    "classify.score": ("Confidence", "置信度"),
    "classify.cosine": ("Cosine", "余弦"),
    "classify.detector": ("What was taught", "检测器"),
    "classify.is_heard": ("heard", "听到"),
    "classify.is_not": ("not heard", "未听到"),
    "classify.means": (
        (
            "Confidence is shared among the labels given and sums to 100 %: it says which fits best, not whether one"
            " does. The cosine, from −1 to 1, says how well each fits by itself."
        ),
        (
            "置信度在给出的标签之间分配，合计 100 %：它说明哪个最相符，而不说明是否真的相符。余弦（−1 到"
            " 1）说明每个标签本身有多相符。"
        ),
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
    "search.placeholder": ("rain + wind -thunder", "雨 + 风 -雷声"),
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
    "search.found": ("{count:result|results}", "{count} 个结果"),
    "search.left_out": (
        "{count:better one is|better ones are} not shown: the disk of their files cannot be reached now.",
        "另有 {count} 个更好的结果未显示：其文件所在的磁盘目前无法访问。",
    ),
    "search.nothing": ("Nothing passes these filters.", "没有声音符合这些筛选条件。"),
    "search.unlikely": ("probably not it", "可能不是"),
    "search.by": ("Order by", "排序依据"),
    "search.by_both": ("sound and names", "声音与名称"),
    "search.by_sound": ("sound", "声音"),
    "search.by_names": ("names", "名称"),
    "search.relevance": ("relevance {share}", "相关度 {share}"),
    "search.named": ("named {words}", "名称含 {words}"),
    "search.no_names": (
        "No word of this can be part of a name, so these are by sound.",
        "这里没有可能出现在文件名里的词，因此按声音排序。",
    ),
    "search.unknown": ("The model does not know: {words}", "模型不认识：{words}"),
    "search.more": ("More like this", "查找相似"),
    "search.download": ("Download", "下载"),
    "search.like": ("Like {name}", "与 {name} 相似"),
    "search.score": ("cosine {score}", "余弦 {score}"),
    # -- moments --------------------------------------------------------------------------------------
    "moments.tab": ("Moments", "定位"),
    "moments.about": ("Where in a long recording is something heard?", "在长录音的哪个位置能听到？"),
    "moments.words": ("What to look for", "要找什么"),
    "moments.placeholder": ("a dog barking", "狗叫"),
    "moments.k": ("Number of moments", "片段数量"),
    "moments.go": ("Find moments", "查找片段"),
    "moments.wave": (
        "Waveform of {name}, {length}; the marked spans can be clicked",
        "{name} 的波形，{length}；可点击标记的片段",
    ),
    "moments.play": ("Play moment {rank}, {span}", "播放片段 {rank}，{span}"),
    "moments.hint": ("Click a marked span to hear it.", "点击标记的片段即可收听。"),
    "moments.nothing": ("Nothing here sounds like that; the nearest:", "这里没有这样的声音；最接近的是："),
    "moments.csv": ("CSV", "CSV"),
    "moments.audacity": ("Audacity labels", "Audacity 标签"),
    # -- describe -------------------------------------------------------------------------------------
    "describe.tab": ("Describe", "描述"),
    "describe.about": (
        "What is heard in a sound, in words; in a long recording, from when to when.",
        "用文字说出声音里听到了什么；长录音还可说出从何时到何时。",
    ),
    "describe.labels": (
        "What may be heard, with commas between (empty: AudioSet's 527 labels)",
        "可能听到的内容，用逗号分隔（留空：AudioSet 的 527 个标签）",
    ),
    "describe.placeholder": ("dog, rain, church bells", "狗叫，下雨，教堂钟声"),
    "describe.timeline": ("Timeline: from when to when", "时间线：从何时到何时"),
    "describe.go": ("Describe", "描述"),
    "describe.begun": ("Reading the labels…", "正在读取标签…"),
    "describe.tag": ("Heard", "听到"),
    "describe.confidence": ("Confidence", "置信度"),
    "describe.alike": ("Also called", "也可称为"),
    "describe.also": ("Also heard", "同时听到"),
    "describe.when": ("When", "时间"),
    "describe.length": ("In all", "合计"),
    "describe.means": (
        (
            "Confidence says how likely each is heard by itself, so it does not sum to 100 %; what is below {least} %"
            " is left out. “Perhaps” is what is less than half sure."
        ),
        "置信度说明每一项单独被听到的可能性，因此合计不是 100 %；低于 {least} % 的不显示。不足一半把握的会写“可能”。",
    ),
    "describe.spans": (
        "{count:named span|named spans} in {name}, {length}",
        "{name}（{length}）中有 {count} 个命名的片段",
    ),
    "describe.picture": (
        "Timeline of {name}, {length}; the spans can be clicked",
        "{name} 的时间线，{length}；可点击片段",
    ),
    "describe.hint": ("Click a span to hear it.", "点击片段即可收听。"),
    "describe.play": ("Play {name}", "播放 {name}"),
    "describe.others": ("others", "其他"),
    "describe.nothing": ("Nothing that can be named.", "没有可以命名的声音。"),
    "describe.more": ("{count:more span is|more spans are} in the files.", "另有 {count} 个片段，见下载的文件。"),
    "describe.md": ("Markdown", "Markdown"),
    "describe.csv": ("CSV", "CSV"),
    "describe.json": ("JSON", "JSON"),
    "describe.srt": ("Subtitles SRT", "字幕 SRT"),
    "describe.vtt": ("Subtitles VTT", "字幕 VTT"),
    # -- watch ----------------------------------------------------------------------------------------
    "watch.tab": ("Watch", "监听"),
    "watch.about": (
        (
            "Listens to your microphone, or to a recording as if it were one, and tells when something that you named"
            " is heard. Sound is heard and forgotten; nothing of it is stored."
        ),
        "监听你的麦克风，或像监听麦克风那样听一段录音，听到你写下的内容时告诉你。声音听过即忘，不会保存。",
    ),
    "watch.source": ("Listen to", "监听"),
    "watch.microphone": ("The microphone", "麦克风"),
    "watch.recording": ("A recording", "录音"),
    "watch.sound": ("Recording: upload one", "录音：请上传"),
    "watch.alerts": ("What to tell of, one a line", "要提醒的内容，每行一条"),
    "watch.anything": ("Anything unusual, too", "任何异常声音也提醒"),
    "watch.unusual": ("anything unusual", "异常声音"),
    "watch.on": ("Least confidence", "最低置信度"),
    "watch.on_info": ("Lower hears more, and errs more often", "越低听到的越多，误报也越多"),
    "watch.warmup": ("Learn first, seconds", "先学习（秒）"),
    "watch.warmup_info": ("What is usual in this place; nothing is told meanwhile", "此处平常的声音；其间不提醒"),
    "watch.go": ("Listen", "开始监听"),
    "watch.stop": ("Stop", "停止监听"),
    "watch.begun": ("Beginning…", "正在开始…"),
    "watch.learning": ("Learning what is usual here: {seconds} s more", "正在学习此处平常的声音：还需 {seconds} 秒"),
    "watch.listening": ("Listening: {heard}. Events: {count}", "正在监听：{heard}，{count} 个事件"),
    "watch.hearing": ("Listening: {heard} of {all}. Events: {count}", "正在监听：{heard} / {all}，{count} 个事件"),
    "watch.stopped": ("Stopped after {heard}. Events: {count}", "已停止，共听 {heard}：{count} 个事件"),
    "watch.heard": ("Heard to its end, {heard}. Events: {count}", "已听完，共 {heard}：{count} 个事件"),
    "watch.gone": (
        "Nothing came from the microphone any more; stopped after {heard}. Events: {count}",
        "麦克风不再有声音传来；共听 {heard} 后停止：{count} 个事件",
    ),
    "watch.long": (
        "This is as long as one may listen here, {heard}. Events: {count}",
        "已达到此处允许的最长时间 {heard}：{count} 个事件",
    ),
    "watch.lost": (
        "{seconds} s of sound were lost on the way or came faster than they could be heard.",
        "有 {seconds} 秒声音在途中丢失，或来得太快来不及听。",
    ),
    "watch.picture": ("Confidences over time", "置信度随时间的变化"),
    "watch.means": (
        "How likely each is heard, seen against this place's own background; dashed, the {on} % from which it is told.",
        "与此处平常的声音相比，每一项被听到的可能性；虚线为开始提醒的 {on} %。",
    ),
    "watch.none_yet": ("Nothing yet.", "还没有事件。"),
    "watch.none": ("Nothing was heard.", "没有听到任何事件。"),
    "watch.when": ("When", "时间"),
    "watch.alert": ("Heard", "听到"),
    "watch.confidence": ("Confidence", "置信度"),
    "watch.still": ("now", "现在"),
    "watch.hint": ("Click a time to hear it.", "点击时间即可收听。"),
    "watch.more": ("{count:older one is|older ones are} not shown.", "另有 {count} 个更早的事件未显示。"),
    "watch.csv": ("Events as CSV", "事件 CSV"),
    "watch.lines": ("Events as JSON lines", "事件 JSON"),
    "watch.home": ("At home", "家中"),
    "watch.nature": ("Outdoors", "户外"),
    # -- teach ----------------------------------------------------------------------------------------
    "teach.tab": ("Teach", "训练"),
    "teach.about": (
        (
            "Make a detector for a sound of your own: search by words, mark some of what is found, train, and mark"
            " again what it is least sure of."
        ),
        "为你自己的声音制作检测器：用文字检索，标出部分结果对不对，训练，再标出它最没把握的。",
    ),
    "teach.words": ("The sound, in words", "用文字描述声音"),
    "teach.placeholder": ("a door creaking", "门吱呀响"),
    "teach.search": ("Search", "检索"),
    "teach.go": ("Train", "训练"),
    "teach.name": ("Name of the detector (empty: the words)", "检测器名称（留空：所写文字）"),
    "teach.name_placeholder": ("my door", "我家的门"),
    "teach.save": ("Keep on this machine", "保存到本机"),
    "teach.download": ("Download", "下载检测器"),
    "teach.anew": ("Start anew", "重新开始"),
    "teach.doing": ("Training…", "正在训练…"),
    "teach.ranking": ("Ranking the library by what was taught…", "正在按所学为音库排序…"),
    "teach.saved": (
        (
            "Kept as “{name}”: choose it on the tabs Classify, Search and Watch; openclap takes it by this name"
            " elsewhere on this machine too."
        ),
        ("已保存为“{name}”：可在“分类”、“检索”和“监听”页选用；本机的 openclap 在别处也可按此名称使用它。"),
    ),
    "teach.saved_without": (
        "{count:example|examples} of it could not be kept to teach it anew for another model.",
        "有 {count} 个示例未能保留，无法用于为其他模型重新训练。",
    ),
    "teach.found": ("{count:sound|sounds} to mark", "{count} 个待标记的声音"),
    "teach.hint": (
        "Listen, mark what is the sound and what is not, then press Train. A few of each are enough to begin.",
        "请试听，标出哪些是、哪些不是，然后按“训练”。各标几个即可开始。",
    ),
    "teach.marked": ("Marked: {yes} yes, {no} no", "已标记：“是” {yes}，“不是” {no}"),
    "teach.yes": ("✓ This is it", "✓ 是"),
    "teach.no": ("✗ This is not", "✗ 不是"),
    "teach.ranked": ("Ranked by what was taught", "按所学排序"),
    "teach.next": ("Mark these next", "接下来请标记"),
    "teach.next_hint": ("What the detector is least sure of teaches it most.", "检测器最没把握的声音，最能教会它。"),
    "teach.taught": (
        "Taught by {yes} yes, {no} no, and {drawn:unmarked sound|unmarked sounds} of the library",
        "已用 {yes} 个“是”、{no} 个“不是”和音库中 {drawn} 个未标记的声音训练",
    ),
    "teach.too_few": (
        "Mark at least two of each, yes and no, to see how well it does on sounds that it was not taught by.",
        "请至少各标两个“是”和“不是”，才能看出它在未用于训练的声音上表现如何。",
    ),
    "teach.measured": ("On marked sounds left out", "在留出的已标记声音上"),
    "teach.range": ("between", "范围"),
    "teach.alone": ("words alone", "仅用文字"),
    "teach.precision": ("Precision", "准确率"),
    "teach.recall": ("Recall", "召回率"),
    "teach.average": ("Average precision", "平均精度"),
    "teach.better": ("It ranks better than the words alone.", "它的排序比仅用文字更好。"),
    "teach.worse": (
        "It ranks worse than the words alone: look through the marks again.",
        "它的排序不如仅用文字：请再检查标记。",
    ),
    "teach.even": (
        "The marks are too few to tell whether it ranks better than the words alone.",
        "标记太少，还看不出它的排序是否比仅用文字更好。",
    ),
    "teach.means": (
        (
            "Each of {yes} yes and {no} no was judged by a detector that was taught by the others. They are those that"
            " you marked: where the sound is rare, precision is lower."
        ),
        "{yes} 个“是”和 {no} 个“不是”，每一个都由用其余标记训练的检测器判断。它们是你标出的声音：声音很少见时，准确率会更低。",
    ),
    "teach.unmarked": (
        (
            "Each of {yes} yes and {no:unmarked sound|unmarked sounds}, taken for no, was judged by a detector that was"
            " taught by the others; mark some no to know better."
        ),
        "{yes} 个“是”和 {no} 个当作“不是”的未标记声音，每一个都由用其余声音训练的检测器判断；标出一些“不是”会更准确。",
    ),
    "teach.ringing": ("Something ringing", "铃声"),
    "teach.water": ("Running water", "流水声"),
    "teach.vehicle": ("A vehicle", "车辆"),
    # -- library --------------------------------------------------------------------------------------
    "library.tab": ("Library", "音库"),
    "library.about": (
        "Sounds are indexed once and then found in milliseconds. What is indexed already is not read again.",
        "声音只需索引一次，之后毫秒内即可找到。已索引的内容不会重复读取。",
    ),
    "library.folder": ("Folder on the server", "服务器上的文件夹"),
    "library.folder_info": (
        "Below {roots}; choose one to see what is in it",
        "位于 {roots} 之下；选择后可查看其中内容",
    ),
    "library.no_roots": (
        "No folder of this server may be indexed; upload files.",
        "此服务器不允许索引文件夹；请上传文件。",
    ),
    "library.upload": ("Or upload sound files", "或上传声音文件"),
    "library.tags": ("Tags for these sounds (optional)", "这些声音的标记（可选）"),
    "library.go": ("Index", "建立索引"),
    "library.stop": ("Stop", "停止"),
    "library.example": ("Index the example sounds", "索引示例声音"),
    "library.indexing": (
        "Indexing: {done} of {total:file|files}, {seconds} s",
        "正在索引：{done} / {total} 个文件，{seconds} 秒",
    ),
    "library.begun": ("Looking for sounds… {seconds} s", "正在查找声音… {seconds} 秒"),
    "library.done": (
        (
            "Done in {seconds} s: {added} added, {unchanged} unchanged, {updated} updated, {removed} removed, {failed}"
            " failed."
        ),
        "完成，用时 {seconds} 秒：新增 {added}，未变 {unchanged}，更新 {updated}，移除 {removed}，失败 {failed}。",
    ),
    "library.kept_missing": (
        "{count:file is|files are} missing from the disk and kept, as it may only be away.",
        "磁盘上缺少 {count} 个文件，已在音库中保留，因为磁盘可能只是暂时断开。",
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
    "library.map_doing": ("Reading: {done} of {all:file|files}", "正在读取：{done} / {all} 个文件"),
    "library.map_hint": (
        "Each point is a sound; near ones sound alike. Click one to hear it.",
        "每个点是一个声音；相近的点听起来相似。点击即可收听。",
    ),
    "library.map_some": ("{shown} of {all:file is|files are} shown.", "显示 {all} 个文件中的 {shown} 个。"),
    "library.map_alt": ("Map of {count:sound|sounds}", "{count} 个声音的地图"),
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
    "gradio.queue": ("In queue: # of #", "排队中：第 # 位，共 # 位"),
    "gradio.reset": ("Reset to default value", "恢复默认值"),
    "gradio.clear": ("Clear", "清除"),
    "gradio.more_tabs": ("More tabs", "更多页面"),
    "gradio.upload_source": ("Upload file", "上传文件"),
    "gradio.record_source": ("Record audio", "录制音频"),
    # -- words to try ------------------------------------------------------------------------------------
    "try.puppy": ("a puppy yapping", "小狗叫"),
    "try.bells": ("church bells", "教堂钟声"),
    "try.knock": ("someone knocks at the door", "有人敲门"),
    "try.applause": ("an audience claps", "观众鼓掌"),
    "try.waves": ("waves at the beach", "海浪声"),
    "try.dog": ("a dog barking", "狗叫"),
    "try.siren": ("a siren", "警笛"),
    "try.rooster": ("a rooster crowing", "公鸡打鸣"),
    # -- why a sound cannot be used (causes.py) -------------------------------------------------------------
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
    "error.no_texts": ("There is no text yet: write at least one line.", "还没有文字：请至少写一行。"),
    "error.no_labels": (
        "There is no label yet: write some, with commas between.",
        "还没有标签：请写几个，用逗号分隔。",
    ),
    "error.no_alerts": (
        "There is nothing to listen for: write at least one line, or ask for anything unusual.",
        "没有要监听的内容：请至少写一行，或选择任何异常声音。",
    ),
    "error.watches": (
        "{most:other is|others are} listening already, which is all that this server can; try again later.",
        "已有 {most} 人在监听，这是此服务器的上限；请稍后再试。",
    ),
    "error.watch_over": (
        "This watch is over, and its events are kept no longer; listen again.",
        "此次监听已结束，其事件已不再保留；请重新监听。",
    ),
    "error.microphone": (
        "No microphone was found; plug one in, or listen to a recording.",
        "找不到麦克风；请接上麦克风，或监听录音。",
    ),
    "error.microphone_denied": (
        "The browser was not allowed to use the microphone; allow it beside the address, or listen to a recording.",
        "浏览器未获准使用麦克风；请在地址栏旁允许，或监听录音。",
    ),
    "error.microphone_insecure": (
        "A browser gives its microphone to pages of this machine and of https alone; listen to a recording.",
        "浏览器只允许本机页面和 https 页面使用麦克风；请监听录音。",
    ),
    "error.no_marks": (
        "Nothing is marked as right yet: mark at least one sound that is it.",
        "还没有标出正确的声音：请至少标出一个“是”。",
    ),
    "error.not_taught": (
        "Nothing was taught yet: mark some sounds and press Train.",
        "还没有训练：请先标记一些声音并按“训练”。",
    ),
    "error.other_lesson": (
        "Another model was loaded meanwhile; search again with it.",
        "其间加载了另一个模型；请用它重新检索。",
    ),
    "error.name": (
        "This cannot be a detector's name; give a word or some, without slashes and not beginning with a dot.",
        "这不能用作检测器名称；请用普通词语，不含斜杠，也不以点开头。",
    ),
    "error.no_detector": (
        "There is no detector “{name}” here; teach one on the tab Teach, and keep it.",
        "这里没有检测器“{name}”；请在“训练”页训练并保存。",
    ),
    "error.other_detector": (
        "The detector “{name}” was taught on another model ({maker}).",
        "检测器“{name}”是用另一个模型（{maker}）训练的。",
    ),
    "error.no_query": (
        "There is nothing to look for: write words or give a sound.",
        "没有要查找的内容：请写文字或提供声音。",
    ),
    "error.only_not": (
        "Say also what should be heard, not only what should not.",
        "除了不想听到的，还请写出想听到的内容。",
    ),
    "error.many": (
        "{count} are too many at once; give {most} or fewer.",
        "一次 {count} 条太多；请不要超过 {most} 条。",
    ),
    "error.words": (
        (
            "One of them has {count:character|characters}; describe a sound in a few words, {most:character|characters}"
            " at most."
        ),
        "其中一条有 {count} 个字符；请用几个词描述声音，不超过 {most} 个字符。",
    ),
    "error.long": (
        "The sound lasts {minutes:minute|minutes}; give one of {most:minute|minutes} or less.",
        "声音长达 {minutes} 分钟；请不要超过 {most} 分钟。",
    ),
    "error.sound": ("{name} cannot be used: {why}.", "{name} 无法使用：{why}。"),
    "error.empty_sound": ("{name} holds no sound at all.", "{name} 中没有任何声音。"),
    "error.no_model": ("The name of the model is empty; choose one from the list.", "模型名称为空；请从列表中选择。"),
    "error.unknown_model": (
        "There is no model called “{name}”; check the spelling.",
        "没有名为“{name}”的模型；请检查拼写。",
    ),
    "error.model_not_here": (
        "“{name}” is not on this machine and cannot be downloaded now.",
        "“{name}”不在本机，目前也无法下载。",
    ),
    "error.model_refused": (
        "“{name}” may not be loaded here; choose one from the list.",
        "此处不允许加载“{name}”；请从列表中选择。",
    ),
    "error.bad_model": (
        "“{name}” is broken or no CLAP model; choose another one.",
        "“{name}”已损坏或不是 CLAP 模型；请选择其他模型。",
    ),
    "error.missing": (
        "This needs {what}, which is not installed on the server.",
        "这需要 {what}，但服务器上没有安装。",
    ),
    "error.mismatch": (
        "The library was made by another model ({maker}).",
        "此音库由另一个模型（{maker}）建立。",
    ),
    "error.empty_library": (
        "The library holds no sounds yet; fill it on the Library tab, or search the example sounds.",
        "音库中还没有声音；请在“音库”页添加，或在示例声音中检索。",
    ),
    "error.library": (
        "The library cannot be used now; the server's log says why.",
        "音库目前无法使用；原因见服务器日志。",
    ),
    "error.nothing_chosen": ("Choose a folder or upload files first.", "请先选择文件夹或上传文件。"),
    "error.outside": (
        "This folder may not be used; choose one below {roots}.",
        "不能使用此文件夹；请选择 {roots} 之下的文件夹。",
    ),
    "error.outside_links": (
        (
            "{count:file in this folder is a link|files in this folder are links} to places outside {roots}, so it is"
            " not indexed."
        ),
        "此文件夹中有 {count} 个文件链接到 {roots} 之外，因此未索引。",
    ),
    "error.no_sounds": ("There are no sound files in this folder.", "此文件夹中没有声音文件。"),
    "error.full": (
        "There is no room for more uploads; ask whoever runs this server.",
        "没有空间再上传；请联系服务器管理员。",
    ),
    "error.busy": ("Another indexing is at work; wait until it is done.", "另一个索引正在进行；请等待完成。"),
    "error.gone": ("This sound is no longer kept; search again.", "此声音已不再保留；请重新检索。"),
    "error.withheld": (
        (
            "This file is not given out: it lies outside of the folders that the server may give out,"
            " behind a link, or is no sound."
        ),
        "此文件不能提供：它位于服务器可提供的文件夹之外、经由链接，或不是声音。",
    ),
    "error.changed": (
        "This file is no longer the one that was indexed; index its folder again.",
        "此文件已不是索引时的文件；请重新索引其文件夹。",
    ),
    "error.seconds": ("The shortest length is above the longest.", "最短时长大于最长时长。"),
    "error.closing": ("The server is going down; try again later.", "服务器正在关闭；请稍后再试。"),
    "error.input": ("This cannot be done as it was asked; check what you wrote.", "无法按此要求完成；请检查输入。"),
    "error.steps": ("{what} What can be done: {steps}.", "{what}可以这样做：{steps}。"),
    "error.or": (", or ", "，或"),
    # -- what can be done: a row for each of `errors.HINTS` -----------------------------------------------
    "hint.alerts": ("write what to listen for, or ask for anything unusual", "写下要监听的声音，或选择监听异常声音"),
    "hint.carry": ("check the network, or take mini", "检查网络，或使用 mini"),
    "hint.fill": ("fill it on the Library tab", "在“音库”页添加声音"),
    "hint.models": ("choose one from the list", "从列表中选择"),
    "hint.other_library": ("search the example sounds", "在示例声音中检索"),
    "hint.pull": ("take mini", "使用 mini"),
    "hint.rate": ("give the rate of the samples", "给出采样率"),
    "hint.reembed": (
        "ask whoever runs this server to embed the library anew",
        "请服务器管理员重新计算音库",
    ),
    "hint.refit": (
        "ask whoever runs this server to teach it anew by the examples that were kept",
        "请服务器管理员用保留的示例重新训练",
    ),
    "hint.repair": ("ask whoever runs this server to repair the library", "请服务器管理员修复音库"),
    "hint.restart": ("start it anew", "重新开始"),
    "hint.same_model": ("load the model that made it", "加载建立它的模型"),
    "hint.teach": ("teach it on the Teach tab", "在“训练”页训练"),
    "hint.train_head": ("train a head for this model", "为此模型训练分类头"),
    "hint.use_model": ("load the model {name}", "加载模型 {name}"),
}


def say(key: str, language: Language, **values: Any) -> str:
    """A string of the table, its {places} filled."""
    text = TABLE[key][0 if language == "en" else 1]
    return SPEAKER.vformat(text, (), values) if values else text


class _Speaker(string.Formatter):
    """`str.format` whose numbers bring their words."""

    def format_field(self, value: Any, spec: str) -> Any:
        if "|" in spec:
            one, other = spec.split("|")
            return f"{value} {one if str(value) == '1' else other}"
        if spec == "万":
            number = 100 * float(value)
            return f"{number / 10_000:.3g} 亿" if number >= 10_000 else f"{number:.0f} 万"
        return super().format_field(value, spec)


SPEAKER = _Speaker()


class Told(UsageError):
    """Wrong use of the page: a key of the table and its values, so that it can be told in any language."""

    def __init__(self, key: str, **values: Any) -> None:
        super().__init__(say(key, "en", **values))
        self.key = key
        self.values = values
