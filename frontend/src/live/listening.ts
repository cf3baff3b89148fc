// A microphone that is watched: its sound goes to the server, and what could not be sent in time waits here.
import { clear, tell } from "../problems";
import { wav } from "./clips";
import { hearNow } from "./heard";
import { Microphone } from "./microphone";
import { Ring } from "./ring";
import { addPeaks, drawn, heard, lost, phase } from "./seen";
import { Session } from "./session";
import type { Left, Wish } from "./socket";

const KEPT = 100; // seconds of sound: the longest event and its surroundings, or what waits for a connection
const AROUND = 1; // seconds before and after an event that are heard with it
const AT_ONCE = 8192; // samples of a message
const WAITS = [0.5, 1, 2, 4, 8, 15]; // seconds until it is tried again
const FULL = 5;
const SLEPT = 1500; // ms that the clock may differ from the sound

interface Segment { socket: number; here: number } // samples: the same moment as the server counts, and here

export class MicrophoneSession extends Session {
  private microphone: Microphone | null = null;
  private ring = new Ring(1);
  private segments: Segment[] = [];
  private clocks: { at: number; zero: number }[] = []; // from a sample on: the time of day of the first one, ms
  private sent = 0; // samples here, up to which the socket has them
  private given = 0; // samples that the socket was given
  private tries = 0;
  private retryAt = 0;

  async open(device: string): Promise<void> {
    this.microphone = await Microphone.open(device, (samples) => this.hear(samples), () => this.end("live.unplugged"));
    this.ring = new Ring(Math.round(this.microphone.rate * KEPT));
    this.microphone.context.onstatechange = () => this.follow();
    addEventListener("online", this.retry);
    this.connect();
  }

  get rate(): number {
    return this.microphone?.rate ?? 1;
  }

  async change(device: string): Promise<void> {
    await this.microphone?.change(device);
  }

  override apply(wish: Wish): void {
    this.wish = wish;
    this.decided = Math.max(this.decided, this.ring.end / this.rate);
    this.connect();
  }

  /** The last seconds of sound. */
  last(seconds: number): Blob {
    return wav(this.ring.read(this.ring.end - Math.round(seconds * this.rate), this.ring.end), this.rate);
  }

  private readonly retry = () => (this.retryAt = 0);

  /** A phone that rings takes the microphone away for a while. */
  private follow(): void {
    const { context } = this.microphone!;
    if (context.state === "running") phase.peek() === "paused" && this.enter(this.socket ? "listening" : "lost");
    else if (context.state !== "closed") {
      this.enter("paused");
      void context.resume();
    }
  }

  private hear(samples: Int16Array): void {
    if (!this.microphone) return;
    addPeaks(samples, this.ring.end / this.rate, this.rate);
    this.ring.push(samples);
    const zero = Date.now() - (this.ring.end / this.rate) * 1000;
    const clock = this.clocks.at(-1);
    if (!clock || Math.abs(zero - clock.zero) > SLEPT) this.clocks.push({ at: this.ring.end - samples.length, zero });
    heard.value = this.ring.end / this.rate;
    if (this.socket?.isDead) this.socket.lose();
    if (!this.socket && performance.now() >= this.retryAt) this.connect();
    this.pump();
    hearNow(this);
    drawn.value++;
  }

  /** Begin anew where the last socket ended; so that it knows what is usual here, it gets what came before, too. */
  private connect(): void {
    const from = Math.max(this.ring.start, Math.round((this.decided - this.wish.warmup) * this.rate));
    this.segments = [{ socket: 0, here: from }];
    [this.sent, this.given] = [from, 0];
    this.retryAt = Infinity;
    this.join();
  }

  protected override source(): object {
    return { rate: this.rate, live: true, name: "microphone" };
  }

  protected override begun(): void {
    this.tries = 0;
    clear("live");
  }

  protected override advance(): void {} // it is as far as the sound is

  private pump(): void {
    while (this.socket?.hasRoom && this.ring.end > this.sent) {
      if (this.sent < this.ring.start) {
        lost.value += (this.ring.start - this.sent) / this.rate;
        this.sent = this.ring.start;
        this.segments.push({ socket: this.given, here: this.sent });
      }
      const part = this.ring.read(this.sent, this.sent + AT_ONCE);
      this.socket.send(part);
      this.sent += part.length;
      this.given += part.length;
    }
  }

  protected override place(seconds: number): number {
    const at = seconds * this.rate;
    const { socket, here } = this.segments.findLast((one) => one.socket <= at) ?? this.segments[0]!;
    return (here + at - socket) / this.rate;
  }

  override timeOf(seconds: number): number | null {
    const clock = this.clocks.findLast(({ at }) => at <= seconds * this.rate) ?? this.clocks[0];
    return clock ? clock.zero + seconds * 1000 : null;
  }

  protected override clipOf(start: number, end: number): Blob | null {
    const samples = this.ring.read(Math.round((start - AROUND) * this.rate), Math.round((end + AROUND) * this.rate));
    return samples.length ? wav(samples, this.rate) : null;
  }

  protected override left(left: Left): void {
    if (phase.peek() === "idle") return;
    if (left.why === "refused") {
      tell("live", () => left.text);
      return this.end("live.refused");
    }
    this.enter(left.why === "full" ? "full" : "lost");
    const seconds = left.why === "full" ? FULL : WAITS[Math.min(this.tries++, WAITS.length - 1)]!;
    this.retryAt = performance.now() + seconds * 1000;
  }

  override end(...why: Parameters<Session["end"]>): void {
    super.end(...why);
    this.close();
    heard.value = this.ring.end / this.rate;
  }

  override drop(): void {
    super.drop();
    this.close();
  }

  private close(): void {
    removeEventListener("online", this.retry);
    this.microphone?.close();
  }
}
