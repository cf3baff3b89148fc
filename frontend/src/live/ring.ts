// The last seconds of a microphone, each sample at its place since the beginning: for clips of events, and to be sent again
// after a lost connection.
export class Ring {
  private readonly data: Int16Array;
  end = 0;

  constructor(size: number) {
    this.data = new Int16Array(size);
  }

  get start(): number {
    return Math.max(0, this.end - this.data.length);
  }

  push(samples: Int16Array): void {
    const at = this.end % this.data.length;
    const first = Math.min(samples.length, this.data.length - at);
    this.data.set(samples.subarray(0, first), at);
    this.data.set(samples.subarray(first), 0);
    this.end += samples.length;
  }

  /** What is still there of a part. */
  read(from: number, to: number): Int16Array<ArrayBuffer> {
    const [start, end] = [Math.max(from, this.start), Math.min(to, this.end)];
    const out = new Int16Array(Math.max(0, end - start));
    for (let done = 0; done < out.length;) {
      const at = (start + done) % this.data.length;
      const some = this.data.subarray(at, Math.min(this.data.length, at + out.length - done));
      out.set(some, done);
      done += some.length;
    }
    return out;
  }
}
