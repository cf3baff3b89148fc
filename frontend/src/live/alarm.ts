// What calls somebody who looks elsewhere: a sound, and a message of the system. Both are off until they are wished.
import { signal } from "@preact/signals";
import { kept } from "../kept";
import { clear, tell } from "../problems";
import { share, t } from "../words";
import { called, type Heard } from "./events";

export const beeps = signal(kept.get("live.beep", false));
export const notifies = signal(kept.get("live.notify", false) && "Notification" in window && Notification.permission === "granted");
const TONES = [[880, 0], [1320, 0.14]] as const; // Hz, seconds
let context: AudioContext | null = null;

export function setBeeps(on: boolean): void {
  beeps.value = on;
  kept.set("live.beep", on);
  if (on) beep(); // so that it is known
}

/** Ask the browser for leave, where that is needed. */
export async function setNotifies(on: boolean): Promise<void> {
  clear("alarm");
  const granted = on && "Notification" in window && (await Notification.requestPermission()) === "granted";
  if (on && !granted) tell("alarm", () => t("Notification" in window ? "live.notify_denied" : "live.notify_missing"));
  notifies.value = granted;
  kept.set("live.notify", granted);
}

export function raise(event: Heard): void {
  if (beeps.peek()) beep();
  if (!notifies.peek() || document.hasFocus()) return;
  const body = t("live.notice", { share: share(event.confidence) });
  try {
    new Notification(called(event.alert), { body, tag: `openclap-${event.alert}` });
  } catch { // phones have them from service workers alone
    notifies.value = false;
    tell("alarm", () => t("live.notify_missing"));
  }
}

function beep(): void {
  context ??= new AudioContext();
  void context.resume();
  for (const [pitch, after] of TONES) {
    const [tone, loud, at] = [context.createOscillator(), context.createGain(), context.currentTime + after];
    tone.frequency.value = pitch;
    loud.gain.setValueAtTime(0.0001, at);
    loud.gain.exponentialRampToValueAtTime(0.25, at + 0.02);
    loud.gain.exponentialRampToValueAtTime(0.0001, at + 0.13);
    tone.connect(loud).connect(context.destination);
    tone.start(at);
    tone.stop(at + 0.14);
  }
}
