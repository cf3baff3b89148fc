// What every watch shares: it tells the server what is listened for, and takes what the server tells.
import { batch } from "@preact/signals";
import { addEvent, endAll, keepClip, type Heard } from "./events";
import { addWindow, asked, drawn, heard, learning, names, note, over, phase, unknown, type Phase } from "./seen";
import { WatchSocket, type Left, type Message, type Told, type Wish } from "./socket";
import { settings } from "./wish";
import type { Key } from "../strings";

let sockets = 0;

export abstract class Session {
  protected socket: WatchSocket | null = null;
  protected decided = 0; // seconds up to which windows were told
  private live = true;
  private number = 0; // of the socket: ids of two are not the same

  constructor(protected wish: Wish) {}

  /** What its source has to say to the server. */
  protected abstract source(): object;
  /** The second here of a second of the socket. */
  protected abstract place(seconds: number): number;
  /** The time of day of a second, ms. */
  abstract timeOf(seconds: number): number | null;
  /** The sound of an event that has ended. */
  protected abstract clipOf(start: number, end: number): Blob | (() => Promise<Blob>) | null;
  protected abstract left(left: Left): void;
  abstract apply(wish: Wish): void;

  protected join(): void {
    asked.value = this.wish.on;
    this.socket?.drop();
    endAll();
    this.number = ++sockets;
    const mine = this.number;
    const isMine = () => this.live && mine === this.number;
    this.socket = new WatchSocket(
      { ...settings(this.wish), ...this.source() }, (message) => isMine() && this.take(message), (left) => isMine() && this.leave(left),
    );
    if (phase.peek() === "opening") this.enter("joining"); // else it says what it waits for
  }

  protected enter(next: Phase): void {
    if (phase.peek() !== "idle") phase.value = next;
  }

  private leave(left: Left): void {
    this.socket = null;
    endAll();
    this.left(left);
  }

  private take(message: Message): void {
    if (message.type === "event") this.takeEvent(message);
    else if (message.type === "note") note.value = message.note;
    else if (message.type === "ready") {
      batch(() => {
        names.value = message.alerts;
        unknown.value = message.unknown ?? [];
        learning.value = this.wish.warmup;
        this.enter(this.wish.warmup > 0 ? "learning" : "listening");
        this.begun();
      });
    } else if (message.type === "window") {
      const [start, end] = [this.place(message.start), this.place(message.end)];
      batch(() => {
        learning.value = Math.max(0, this.wish.warmup - message.end);
        this.enter(learning.peek() > 0 ? "learning" : "listening");
        if (end <= this.decided) return; // sent once more, to learn from it
        this.decided = end;
        addWindow({ start, end, confidences: message.confidences });
        this.advance(end);
        drawn.value++;
      });
    }
  }

  /** The server listens. */
  protected begun(): void {}

  protected advance(seconds: number): void {
    heard.value = seconds;
  }

  private takeEvent(told: Told): void {
    const [start, end] = [this.place(told.start), this.place(told.end)];
    const key = `${this.number} ${told.id}`;
    const still = told.state === "began";
    const found = still ? null : this.clipOf(start, end);
    const clip = found instanceof Blob ? keepClip(key, found) : found;
    const event: Heard = { key, alert: told.alert, start, end, confidence: told.confidence, at: this.timeOf(start), still, clip, told };
    addEvent(event);
    drawn.value++;
  }

  /** It is over; what was heard until now is still told. */
  end(why: Key): void {
    batch(() => {
      phase.value = "idle";
      over.value = why;
    });
    this.socket?.end();
  }

  /** Nothing more is heard of it. */
  drop(): void {
    this.live = false;
    this.socket?.drop();
    this.socket = null;
    endAll();
  }
}
