// One sound plays at a time, whichever player it is in.
const players: HTMLAudioElement[] = [];

/** A new player; when it begins to play the others pause. */
export function player(): HTMLAudioElement {
  const audio = new Audio();
  players.push(audio);
  audio.addEventListener("play", () => players.forEach((other) => other !== audio && other.pause()));
  return audio;
}

const TYPES: Record<string, string> = {
  wav: "audio/wav", mp3: "audio/mpeg", flac: "audio/flac", ogg: "audio/ogg", oga: "audio/ogg", opus: "audio/ogg; codecs=opus",
  m4a: "audio/mp4", aac: "audio/aac", webm: "audio/webm",
};

/** Does this browser play files of a format, as their names end? */
export function plays(format: string): boolean {
  return format in TYPES && players[0]!.canPlayType(TYPES[format]!) !== "";
}

export function ending(name: string): string {
  return name.slice(name.lastIndexOf(".") + 1).toLowerCase();
}
