// A drop anywhere on the page: one sound is searched by; several, or a folder, are added to the library.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { tell } from "../problems";
import { searchBySound } from "../query/query";
import { library } from "../server";
import { go } from "../state";
import { t } from "../words";
import { adding } from "./add";
import { dropped } from "./dropped";
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
  const { given, folders } = await dropped(event.dataTransfer!);
  const [first] = given;
  const empty = library.value?.files === 0;
  if (!first) return tell(empty ? "add" : "search", () => t("add.no_sounds"));
  go({ place: "find" });
  if (given.length === 1 && !folders && !empty && !adding.value) return searchBySound(first.file);
  if (empty || adding.value) return void addFiles(given);
  waiting.value = given; // asked first: a library is not filled by a slip
  adding.value = true;
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
  const add = library.value?.files === 0 || adding.value;
  return <div class="dropping" aria-hidden="true"><p>{t(add ? "add.dropping" : "add.dropping_like")}</p></div>;
}
