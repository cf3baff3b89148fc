// An answer that comes line by line, each a JSON value.
import { isAbort, Problem } from "./api";

/** The lines as they come. A line with an error, and an answer that breaks off, are Problems. */
export async function* lines<T extends { error?: { message: string } }>(answer: Response): AsyncGenerator<T> {
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read().catch((error: unknown) => {
      throw isAbort(error) ? error : new Problem("", true);
    });
    const whole = (rest + (value ?? (done ? "\n" : ""))).split("\n");
    rest = whole.pop() ?? "";
    for (const text of whole.filter(Boolean)) {
      const line = JSON.parse(text) as T;
      if (line.error) throw new Problem(line.error.message);
      yield line;
    }
    if (done) return;
  }
}
