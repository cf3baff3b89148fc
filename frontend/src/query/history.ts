// Recent and saved searches, kept in this browser alone.
import { signal } from "@preact/signals";
import { kept } from "../kept";

const MOST = 12;
export const recent = signal<string[]>(kept.get("recent", []));
export const saved = signal<string[]>(kept.get("saved", [])); // addresses of the page: words and filters

export function remember(query: string): void {
  recent.value = [query, ...recent.value.filter((one) => one !== query)].slice(0, MOST);
  kept.set("recent", recent.value);
}

export function forgetRecent(): void {
  recent.value = [];
  kept.set("recent", []);
}

export function toggleSaved(address: string): void {
  const there = saved.value.includes(address);
  saved.value = there ? saved.value.filter((one) => one !== address) : [address, ...saved.value].slice(0, 50);
  kept.set("saved", saved.value);
}
