// The browser's choice of a file.
import { upload } from "./recording";

/** Ask for a file; what was asked before there is a recording is asked of this one. */
export function chooseRecording(): void {
  document.querySelector<HTMLInputElement>("#recording-file")?.click();
}

export function Choice() {
  const given = (event: Event) => {
    const input = event.currentTarget as HTMLInputElement;
    const file = input.files?.[0];
    if (file) void upload(file);
    input.value = "";
  };
  return <input id="recording-file" type="file" accept="audio/*,video/*" hidden onChange={given} />;
}
