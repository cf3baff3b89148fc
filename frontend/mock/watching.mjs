// A made-up /v1/watch: a window a second of what is sent, the first alert heard now and then. By words among the alerts:
// "error" is refused, "lost" breaks off once and stays away for a while. POST /mock/full: no place is free until it is asked again.
import { WebSocketServer } from "ws";

const EVERY = 8, LONG = 3; // seconds: an event, and how long it is
let full = false;
let away = 0; // until when, ms
let hasLost = false;
const sockets = new WebSocketServer({ noServer: true });

export function isFull() {
  return full;
}

export function setFull() {
  full = !full;
  hasLost = false;
}

/** A handshake. */
export function upgrade(request, socket, head, log) {
  if (Date.now() < away) return socket.destroy();
  if (full) return socket.end("HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n");
  sockets.handleUpgrade(request, socket, head, (open) => listen(open, log));
}

function listen(socket, log) {
  let wish = null;
  let bytes = 0;
  let windows = 0;
  let number = 0;
  const send = (message) => socket.readyState === 1 && socket.send(JSON.stringify(message));
  const event = (state, start, end) => send({ type: "event", id: `e${number}`, state, alert: wish.names[0], start, end, peak: (start + end) / 2, confidence: number % 3 === 1 ? 0.62 : 0.93, score: 0.4, source: wish.name ?? "tape.wav", latency: 2, time: null });
  const hear = (seconds) => {
    for (; windows + 2 <= seconds; windows++) {
      const at = windows % EVERY;
      const learns = windows + 2 <= wish.warmup;
      const confidences = wish.names.map((_, i) => (learns ? 0 : i ? 0.1 + 0.1 * Math.sin(windows * (i + 1)) : at < LONG ? 0.93 : 0.04));
      send({ type: "window", start: windows, end: windows + 2, confidences });
      if (!learns && at === 0) event("began", windows, windows + 2);
      if (!learns && at === LONG && windows >= wish.warmup + LONG) event("ended", windows - LONG, windows), number++;
    }
  };
  const end = (seconds) => {
    send({ type: "report", heard: seconds, windows, skipped: 0, events: number });
    socket.close(1000);
  };
  socket.on("message", (data, isBinary) => {
    if (!wish) {
      wish = JSON.parse(data);
      wish.names = [...wish.alerts, ...wish.detectors, ...(wish.unusual ? ["unusual"] : [])];
      log.push(`watch ${data}`.slice(0, 300));
      if (wish.alerts.includes("error")) {
        send({ type: "error", error: "an alert is empty; describe a sound in a few words" });
        return socket.close(1008);
      }
      send({ type: "ready", model: "mini", window: 2, hop: 1, warmup: wish.warmup, latency: 3, alerts: wish.names });
      if (wish.recording) tape();
    } else if (isBinary) {
      bytes += data.length;
      const seconds = bytes / 2 / wish.rate;
      hear(seconds);
      if (wish.alerts.includes("lost") && !hasLost && seconds > 8) {
        hasLost = true;
        away = Date.now() + 2500;
        socket.terminate();
      }
    } else {
      log.push("watch was ended");
      end(bytes / 2 / (wish.rate ?? 1));
    }
  });
  const tape = () => {
    let seconds = 0;
    const timer = setInterval(() => {
      hear((seconds += 2));
      if (seconds < 40 && socket.readyState === 1) return;
      clearInterval(timer);
      end(seconds);
    }, 60);
  };
}
