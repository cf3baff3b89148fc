// Every string of the page: key → [English, 中文]. In a {place} a number may bring its word, `{count:sound|sounds}`.
const TABLE = {
  title: ["Search sounds by words", "用文字查找声音"],
  language: ["中文", "English"],
  language_label: ["以中文显示", "Show in English"],
  theme: ["Light or dark", "浅色或深色"],
  private: ["Sounds never leave this device: they are heard in this browser, and no server is asked.", "声音不会离开本设备：全部在浏览器中处理，不访问任何服务器。"],
  "model.loading": ["Loading the model: {done} of {all} MB", "正在加载模型：{done} / {all} MB"],
  "model.starting": ["Starting the model…", "正在启动模型…"],
  "model.ready": ["{model} is ready.", "模型 {model} 已就绪。"],
  "model.offline": ["{model} is ready, and works without a network from now on.", "模型 {model} 已就绪，今后无需联网即可使用。"],
  "model.failed": ["The model could not be loaded ({why}). Check the network, then load this page again.", "模型无法加载（{why}）。请检查网络，然后重新加载本页。"],
  "pick.heading": ["Sounds", "声音"],
  "pick.folder": ["Choose a folder", "选择文件夹"],
  "pick.files": ["Choose files", "选择文件"],
  "pick.again": ["Open “{name}” again", "重新打开“{name}”"],
  "pick.drop": ["or drop a folder here", "或将文件夹拖到此处"],
  "pick.none": ["There is no sound file in it: {kinds}", "其中没有声音文件：{kinds}"],
  "pick.refused": ["The folder could not be read; choose it again and allow this page to look into it.", "无法读取此文件夹；请重新选择，并允许本页访问。"],
  "index.doing": ["Listening: {done} of {all}", "正在听：{done} / {all}"],
  "index.progress": ["Progress", "进度"],
  "index.stop": ["Stop", "停止"],
  "index.waiting": ["Waiting for the model…", "正在等待模型…"],
  "index.done": ["{count:sound|sounds} can be searched; known before: {known}, silent: {silent}.", "可检索 {count} 个声音；此前已处理：{known}，静音：{silent}。"],
  "index.stopped": ["Stopped. {count:sound|sounds} can be searched; choose the folder again to go on.", "已停止。可检索 {count} 个声音；重新选择文件夹即可继续。"],
  "index.broken": ["The model has stopped ({why}). Load this page again; what was heard is kept.", "模型已停止运行（{why}）。请重新加载本页；已处理的结果会保留。"],
  "index.full": ["The browser's storage is full: new results last until this page is closed.", "浏览器存储空间已满：新的结果仅保留到本页关闭。"],
  "index.bad": ["{count:file|files} could not be taken", "{count} 个文件无法处理"],
  "index.forget": ["Forget everything that was heard", "清除所有处理结果"],
  "index.forgotten": ["Forgotten. Choose a folder to begin anew.", "已清除。请重新选择文件夹。"],
  "bad.empty": ["holds no sound", "没有声音内容"],
  "bad.decode": ["this browser cannot decode it", "此浏览器无法解码"],
  "bad.long": ["longer than {minutes} minutes; as WAV it can be of any length", "超过 {minutes} 分钟；WAV 格式则不限长度"],
  "bad.read": ["could not be read", "无法读取"],
  "bad.numbers": ["holds samples that are no numbers", "含有无效的采样值"],
  "search.label": ["What do you want to hear?", "想找什么声音？"],
  "search.placeholder": ["a dog barking in the distance", "远处的狗叫"],
  "search.go": ["Search", "检索"],
  "search.unknown": ["The model does not know: {words}", "模型不认识：{words}"],
  "search.english": ["In English: {words}", "译为英文：{words}"],
  "search.none": ["Nothing that is heard was indexed yet.", "尚无可检索的声音。"],
  "search.unlikely": ["Nothing here is likely to be that. The nearest are shown.", "这里可能没有这样的声音。以下是最接近的。"],
  "search.found": ["{count:sound|sounds}, the nearest first", "{count} 个声音，最接近的在前"],
  "results.heading": ["Results", "结果"],
  "hit.play": ["Play {name} from {time}", "从 {time} 播放 {name}"],
  "hit.cosine": ["cosine {cosine}", "余弦 {cosine}"],
  "hit.sure": ["sure", "确定"],
  "hit.maybe": ["maybe", "可能"],
  "hit.unlikely": ["unlikely", "不太可能"],
  "player.label": ["Player", "播放器"],
  "player.failed": ["{name} can no longer be read; choose its folder again.", "{name} 已无法读取；请重新选择其文件夹。"],
} as const satisfies Record<string, readonly [string, string]>;

export type Key = keyof typeof TABLE;
export type Values = Record<string, string | number>;
export type Language = "en" | "zh";

const asked = new URLSearchParams(location.search).get("lang") ?? read("language");
let language: Language = asked === "en" || asked === "zh" ? asked : navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";

export function say(key: Key, values: Values = {}): string {
  return TABLE[key][language === "zh" ? 1 : 0].replace(/\{(\w+)(?::([^|}]*)\|([^}]*))?\}/g, (_, name: string, one?: string, many?: string) => {
    const value = values[name] ?? "";
    return one === undefined ? String(value) : `${value} ${value === 1 ? one : many}`;
  });
}

/** An element that says something, and says it anew when the language changes. */
export function label(element: Element, key: Key | "", values: Values = {}, attribute = ""): void {
  const name = attribute ? `data-say-${attribute}` : "data-say";
  if (key) element.setAttribute(name, key);
  else element.removeAttribute(name);
  held.set(element, { ...held.get(element), [name]: values });
  if (key) write(element, name);
  else element.textContent = "";
}

const held = new WeakMap<Element, Record<string, Values>>();
const NAMES = ["data-say", "data-say-aria-label", "data-say-placeholder"];

function write(element: Element, name: string): void {
  const text = say(element.getAttribute(name) as Key, held.get(element)?.[name]);
  if (name === "data-say") element.textContent = text;
  else element.setAttribute(name.slice("data-say-".length), text);
}

export function speak(): void {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  document.title = `${say("title")} · openclap`;
  for (const name of NAMES) for (const element of document.querySelectorAll(`[${name}]`)) write(element, name);
}

export function turnLanguage(): void {
  language = language === "zh" ? "en" : "zh";
  keep("language", language);
  speak();
}

/** Light or dark: as the system has it, until the user says otherwise. */
export function showTheme(turn = false): void {
  const theme = document.documentElement.dataset;
  theme["theme"] = read("theme") ?? "";
  if (!turn) return;
  const dark = theme["theme"] ? theme["theme"] === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  keep("theme", (theme["theme"] = dark ? "light" : "dark"));
}

function read(name: string): string | null {
  try {
    return localStorage.getItem(`openclap-web-${name}`);
  } catch {
    return null; // a browser that keeps nothing
  }
}

function keep(name: string, value: string): void {
  try {
    localStorage.setItem(`openclap-web-${name}`, value);
  } catch {
    // it lasts until the page is closed
  }
}
