// Begin, end and change a watch.
import { computed, effect, signal, untracked } from "@preact/signals";
import { kept } from "../kept";
import { clear, show, tell } from "../problems";
import { pause } from "../player/audio";
import { say } from "../said";
import { page, readPage } from "../server";
import { go, state } from "../state";
import { t } from "../words";
import { forgetEvents } from "./events";
import { forgetHeard } from "./heard";
import { hush } from "./clips";
import { MicrophoneSession } from "./listening";
import { impossible, NoMicrophone } from "./microphone";
import { chooseFile, chosen, coming, RecordingSession } from "./recorded";
import { clockAt, forget, isOn, phase } from "./seen";
import type { Session } from "./session";
import { alertsText, device, readDetectors, wish } from "./wish";

let session: Session | null = null;
const running = signal(""); // what is listened for now
let opening = 0;

const wished = computed(() => JSON.stringify(wish.value));
/** Is something else wished than is listened for? */
export const isChanged = computed(() => isOn() && running.value !== "" && running.value !== wished.value);

export async function start(): Promise<void> {
  const { alerts, detectors, unusual } = wish.peek();
  if (!alerts.length && !detectors.length && !unusual) return tell("live", () => t("live.nothing"));
  const fromRecording = state.peek().source === "recording";
  const sound = chosen();
  if (fromRecording && !sound) return coming.peek() ? undefined : chooseFile();
  session?.drop();
  session = null;
  clear("live");
  pause();
  hush();
  forget();
  forgetEvents();
  forgetHeard();
  go({ alerts: alertsText.peek() }, false);
  phase.value = "opening";
  running.value = wished.peek();
  if (fromRecording) {
    const made = new RecordingSession(wish.peek(), sound!);
    session = made;
    clockAt.value = () => null;
    made.open();
  } else await listen();
  if (isOn() && page.peek()?.model.state !== "ready") void readPage(); // a watch loads the model
}

async function listen(): Promise<void> {
  const mine = ++opening;
  const made = new MicrophoneSession(wish.peek());
  session = made;
  try {
    await made.open(device.peek());
    if (mine !== opening || phase.peek() === "idle") return made.drop(); // stopped meanwhile
    clockAt.value = (seconds) => made.timeOf(seconds);
    say(t("live.begun"));
  } catch (error) {
    made.drop();
    phase.value = "idle";
    if (!(error instanceof NoMicrophone)) throw error;
    tell("live", () => t(`live.no_${error.why}`));
  }
}

export function stop(): void {
  if (phase.peek() === "idle") return;
  session?.end("live.stopped");
  phase.value = "idle";
  say(t("live.is_stopped"));
}

export function toggle(): void {
  if (isOn()) stop();
  else void start();
}

/** Listen for what is wished now; of a recording, from its beginning. */
export function apply(): void {
  if (session instanceof RecordingSession) return void start();
  go({ alerts: alertsText.peek() }, false);
  running.value = wished.peek();
  session?.apply(wish.peek());
}

/** Choose a microphone; one that is open is changed. */
export async function choose(id: string): Promise<void> {
  device.value = id;
  kept.set("live.device", id);
  clear("live");
  try {
    if (session instanceof MicrophoneSession && isOn()) await session.change(id);
  } catch (error) {
    if (error instanceof NoMicrophone) tell("live", () => t(`live.no_${error.why}`));
    else show("live", error);
  }
}

let lock: WakeLockSentinel | null = null;

/** A phone that falls asleep hears nothing. */
async function stayAwake(): Promise<void> {
  if (phase.peek() === "idle" || document.visibilityState !== "visible" || !("wakeLock" in navigator)) return;
  lock = await navigator.wakeLock.request("screen").catch(() => null); // a battery that is nearly empty, say
}

/** Begin to follow the place. Called once. */
export function followLive(): void {
  const here = computed(() => state.value.place === "live");
  effect(() => {
    if (!here.value) return;
    untracked(() => {
      void readDetectors();
      const why = state.peek().source === "microphone" ? impossible() : null;
      if (why) tell("live", () => t(`live.no_${why}`));
    });
  });
  const awake = computed(() => phase.value !== "idle");
  effect(() => {
    if (awake.value) untracked(() => void stayAwake());
    else void lock?.release();
  });
  effect(() => {
    const now = phase.value;
    if (now === "lost" || now === "full" || now === "paused") untracked(() => say(t(`live.is_${now}`)));
  });
  document.addEventListener("visibilitychange", () => void stayAwake());
  addEventListener("pagehide", () => session?.drop());
}
