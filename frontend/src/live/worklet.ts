// The microphone as bare samples, in the thread of the sound: the mean of its channels, 16 bits, some at a time.
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(name: string, made: new () => AudioWorkletProcessor): void;

const AT_ONCE = 4096; // samples

class Samples extends AudioWorkletProcessor {
  private held = new Int16Array(AT_ONCE);
  private filled = 0;

  process([channels = []]: Float32Array[][]): boolean {
    const length = channels[0]?.length ?? 0;
    for (let i = 0; i < length; i++) {
      let sum = 0;
      for (const channel of channels) sum += channel[i]!;
      this.held[this.filled++] = Math.max(-32768, Math.min(32767, Math.round((32768 * sum) / channels.length)));
      if (this.filled === AT_ONCE) {
        this.port.postMessage(this.held.slice());
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("openclap-samples", Samples);
