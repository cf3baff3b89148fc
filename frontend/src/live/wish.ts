// What is listened for, and how: in the address, and kept in this browser for the next visit.
import { computed, signal } from "@preact/signals";
import { get, Problem } from "../api";
import { kept } from "../kept";
import { show } from "../problems";
import { go, state, type State } from "../state";
import { TABLE, type Key } from "../strings";
import { t } from "../words";
import { UNUSUAL } from "./events";
import type { Wish } from "./socket";

export const SETS = ["home", "street", "nature"] as const; // words to begin with
export const ON = 0.7, LEAST_ON = 0.2, MOST_ON = 0.95;
export const SURE = 0.7; // as in Find
export const WARMUPS = [0, 5, 15, 30, 60]; // seconds
const WARMUP = 5;
const OFF = 0.2;

export const device = signal(kept.get("live.device", ""));
export const naming = signal(kept.get("live.naming", true)); // is what is heard named, whatever it is?
export const detectors = signal<readonly string[]>([]); // of the server

function bounded(text: string, otherwise: number, least: number, most: number): number {
  return text === "" || !Number.isFinite(Number(text)) ? otherwise : Math.max(least, Math.min(most, Number(text)));
}

/** As it is written; an example is in the language of the page. */
export const alertsText = computed(() => {
  const text = state.value.alerts || kept.get("live.alerts", "");
  const example = SETS.find((name) => (TABLE[exampleOf(name)] as readonly string[]).includes(text));
  return text && !example ? text : t(exampleOf(example ?? SETS[0]));
});
export const on = computed(() => bounded(state.value.on, ON, LEAST_ON, MOST_ON));
export const warmup = computed(() => bounded(state.value.warmup, WARMUP, 0, 60));

export function writeAlerts(alerts: string): void {
  kept.set("live.alerts", alerts);
  go({ alerts }, false);
}

export function exampleOf(name: (typeof SETS)[number]): Extract<Key, `live.example_${string}`> {
  return `live.example_${name}`;
}

export function change(part: Partial<State>): void {
  go(part, false);
}

export const wish = computed<Wish>(() => {
  const { unusual, detector } = state.value;
  const taught = detector.filter((one) => detectors.value.includes(one));
  const own = alertsText.value.split(/[,，、;；\n]/).map((one) => one.trim()).filter(Boolean);
  const others = own.filter((one) => !taught.includes(one) && !(unusual && one === UNUSUAL)); // names of their own
  return { alerts: [...new Set(others)], detectors: taught, unusual, on: on.value, warmup: warmup.value };
});

/** As the server takes it. */
export function settings({ on: least, ...others }: Wish): object {
  return { ...others, on: least, off: Math.min(OFF, least / 2) };
}

export async function readDetectors(): Promise<void> {
  try {
    const found = await get<{ detectors: { name: string; fits?: boolean }[] }>("v1/detectors");
    detectors.value = found.detectors.filter(({ fits }) => fits !== false).map(({ name }) => name);
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 404) show("live", error, () => void readDetectors()); // 404: it has none
  }
}
