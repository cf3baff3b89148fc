// One websocket of /v1/watch: settings, samples, what the server tells, and why it has ended.
import { ask, isAbort, Problem, url, type Unknown } from "../api";

export interface Wish { alerts: string[]; detectors: string[]; unusual: boolean; on: number; warmup: number }
export interface Ready { type: "ready"; alerts: string[]; unknown?: Unknown[] }
export interface Judged { type: "window"; start: number; end: number; confidences: number[] }
export interface Told { type: "event"; id: string; state: "began" | "ended"; alert: string; start: number; end: number; peak: number; confidence: number; score: number; source: string; time: string | null }
export interface Note { type: "note"; note: string }
export interface Report { type: "report"; heard: number; skipped: number }
interface Fault { type: "error"; error: string }
export type Message = Ready | Judged | Told | Note | Report;

/** It is over: all was told; the connection is lost, or no place is free, and it may go on; or the server says why not. */
export type Left = { why: "done" } | { why: "lost" } | { why: "full" } | { why: "refused"; text: string };

const UNSENT = 1 << 16; // bytes that wait in the browser, beyond which no more are given to it
const SILENT = 20_000; // ms without a word of the server: a connection may be dead and not know it
const GOES_DOWN = 1001, BROKEN = 1011;

export class WatchSocket {
  private readonly socket: WebSocket;
  private opened = false;
  private ready = false;
  private reported = false;
  private fault = "";
  private since = performance.now(); // of the last word

  constructor(settings: object, private readonly told: (message: Message) => void, private readonly left: (left: Left) => void) {
    const address = new URL(url("v1/watch"));
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    this.socket = new WebSocket(address);
    this.socket.onopen = () => {
      this.opened = true;
      this.socket.send(JSON.stringify({ when: "both", windows: true, ...settings }));
    };
    this.socket.onmessage = ({ data }: MessageEvent<string>) => this.read(JSON.parse(data) as Message | Fault);
    this.socket.onclose = ({ code }) => void this.closed(code);
  }

  get hasRoom(): boolean {
    return this.opened && this.socket.readyState === WebSocket.OPEN && this.socket.bufferedAmount < UNSENT;
  }

  /** Does it listen, and yet nothing comes? */
  get isDead(): boolean {
    return this.ready && performance.now() - this.since > SILENT;
  }

  send(samples: Int16Array<ArrayBuffer>): void {
    this.socket.send(samples);
  }

  /** Nothing more is sent; what was heard is still told. */
  end(): void {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send('{"type": "end"}');
    else this.drop();
  }

  /** Leave without a word, and hear none. */
  drop(): void {
    this.socket.onopen = this.socket.onmessage = this.socket.onclose = null;
    this.socket.close();
  }

  /** Take a connection for lost that does not know it. */
  lose(): void {
    this.drop();
    this.left({ why: "lost" });
  }

  private read(message: Message | Fault): void {
    this.since = performance.now();
    if (message.type === "error") this.fault = message.error;
    else {
      this.ready ||= message.type === "ready";
      this.reported ||= message.type === "report";
      this.told(message);
    }
  }

  private async closed(code: number): Promise<void> {
    if (this.reported && code !== GOES_DOWN) this.left({ why: "done" });
    else if (this.fault && (code === BROKEN || (!this.ready && code !== GOES_DOWN))) this.left({ why: "refused", text: this.fault });
    else this.left(this.opened ? { why: "lost" } : await whyNot());
  }
}

/** Why a handshake failed: a browser does not say it, so it is asked as a page. */
async function whyNot(): Promise<Left> {
  try {
    await ask(url("v1/watch"));
  } catch (error) {
    if (isAbort(error) || !(error instanceof Problem)) throw error;
    if (error.status === 429) return { why: "full" };
    if (error.status === 401 || error.status === 403) return { why: "refused", text: error.message };
  }
  return { why: "lost" };
}
