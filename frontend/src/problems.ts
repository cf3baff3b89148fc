// Problems, each kept beside what it belongs to and cleared when that is tried again.
import { signal } from "@preact/signals";
import { isAbort, Problem } from "./api";
import type { Tool } from "./state";
import { t } from "./words";

export type Where = "library" | "search" | "player" | "tray" | "tags" | "model" | "add" | "map" | "facets"
  | "recording" | "pictures" | "export" | "live" | "heard" | "alarm" | "clip"
  | "teach" | "example" | "give" | "lesson" | "keep" | "try" | "taught" | "detect" | Tool;
export interface Trouble { text: () => string; again?: () => void }

export const troubles = signal<Partial<Record<Where, Trouble>>>({});

export function clear(where: Where): void {
  if (troubles.peek()[where]) troubles.value = { ...troubles.peek(), [where]: undefined };
}

/** Show a sentence at a place; `again` makes a button of it. */
export function tell(where: Where, text: () => string, again?: () => void): void {
  troubles.value = { ...troubles.peek(), [where]: { text, again } };
}

/** Show what went wrong. What was merely given up is no problem; what is no Problem is a fault of ours and stays one. */
export function show(where: Where, error: unknown, again?: () => void): void {
  if (isAbort(error)) return;
  if (!(error instanceof Problem)) throw error;
  tell(where, () => (error.lost ? t("common.lost") : error.said?.() ?? error.message), again);
}
