// A drop anywhere on the page: one sound is searched by; several, or a folder, are added to the library.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { stop } from "../live/live";
import { give as hearFile } from "../live/recorded";
import { tell } from "../problems";
import { searchBySound } from "../query/query";
import { library } from "../server";
import { upload } from "../recording/recording";
import { give, isDroppedOnNo } from "../teach/giving";
import { go, state } from "../state";
import { t } from "../words";
import { adding } from "./add";
import { dropped, type Given } from "./dropped";
import { addFiles, waiting } from "./indexing";

const over = signal(false);
let own = false; // a row of ours is dragged

function isFiles(event: DragEvent): boolean {
  return !own && Boolean(event.dataTransfer?.types.includes("Files"));
}

async function take(event: DragEvent): Promise<void> {
  over.value = false;
  if (!isFiles(event)) return;
  event.preventDefault();
  const onNo = isDroppedOnNo(event);
  const { given, folders } = await dropped(event.dataTransfer!);
  const [first] = given;
  if (state.peek().place === "recording") return openDropped(given);
  if (state.peek().place === "live") return hearDropped(given);
  if (state.peek().place === "teach") return void give(given, !onNo);
  const empty = library.value?.files === 0;
  if (!first) return tell(empty ? "add" : "search", () => t("add.no_sounds"));
  go({ place: "find" });
  if (given.length === 1 && !folders && !empty && !adding.value) return searchBySound(first.file);
  if (empty || adding.value) return void addFiles(given);
  waiting.value = given; // asked first: a library is not filled by a slip
  adding.value = true;
}

/** In Recording a dropped sound is opened; of several, the first one. */
function openDropped(given: Given[]): void {
  const [first] = given;
  if (!first) return tell("recording", () => t("add.no_sounds"));
  void upload(first.file).then(() => given.length > 1 && tell("recording", () => t("recording.one", { count: given.length })));
}

/** In Live it is listened to as if it were a microphone. */
function hearDropped([first]: Given[]): void {
  if (!first) return tell("live", () => t("add.no_sounds"));
  stop();
  go({ source: "recording" }, false);
  void hearFile(first.file);
}

export function DropPlace() {
  useEffect(() => {
    const listen = (name: string, does: (event: DragEvent) => void) => addEventListener(name as "drop", does);
    listen("dragstart", () => (own = true));
    listen("dragend", () => (own = false));
    listen("dragover", (event) => {
      if (!isFiles(event)) return;
      event.preventDefault();
      over.value = true;
    });
    listen("dragleave", (event) => !event.relatedTarget && (over.value = false));
    listen("drop", (event) => void take(event));
  }, []);
  if (!over.value) return null;
  const { place } = state.value;
  if (place === "recording" || place === "live") return <div class="dropping" aria-hidden="true"><p>{t(place === "live" ? "live.drop" : "recording.drop")}</p></div>;
  if (place === "teach") return <div class="dropping lists" aria-hidden="true"><p>{t("example.drop")}</p></div>;
  const add = library.value?.files === 0 || adding.value;
  return <div class="dropping" aria-hidden="true"><p>{t(add ? "add.dropping" : "add.dropping_like")}</p></div>;
}
