// Light or dark: as the system has it, until the user says otherwise.
import { effect, signal } from "@preact/signals";
import { kept } from "./kept";

export const theme = signal<"" | "light" | "dark">(kept.get("theme", ""));

effect(() => {
  document.documentElement.dataset.theme = theme.value;
  kept.set("theme", theme.value);
});

export function isDark(): boolean {
  return theme.peek() ? theme.peek() === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

export function turnLight(): void {
  theme.value = isDark() ? "light" : "dark";
}
