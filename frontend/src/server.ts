// What the server is: its library, its model. Asked for once, and again when something has changed.
import { signal } from "@preact/signals";
import { get, post, type Library, type Page } from "./api";
import { clear, show, tell } from "./problems";

export const library = signal<Library | null>(null);
export const page = signal<Page | null>(null);

export async function readLibrary(): Promise<void> {
  clear("library");
  try {
    library.value = await get<Library>("v1/library");
  } catch (error) {
    show("library", error, () => void readLibrary());
  }
}

export async function readPage(): Promise<void> {
  try {
    page.value = await get<Page>("v1/page");
    const { error } = page.value.model;
    if (error) tell("model", () => error);
  } catch (error) {
    show("model", error, () => void readPage());
  }
  if (page.value?.model.state === "loading") setTimeout(() => void readPage(), 1000);
}

export async function loadModel(name: string): Promise<void> {
  clear("model");
  const before = page.value;
  if (before) page.value = { ...before, model: { name, state: "loading" } };
  try {
    await post("v1/page/model", { name });
    await readPage();
  } catch (error) {
    page.value = before;
    show("model", error, () => void loadModel(name));
  }
}
