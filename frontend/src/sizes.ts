// What a server takes at once: a file that is larger is refused here, before it is sent for nothing.
import { Problem } from "./api";
import { clean } from "./list/names";
import { page } from "./server";
import { number, t } from "./words";

const MEBI = 1 << 20;

function megabytes(bytes: number, round: (value: number) => number): string {
  return `${number(round(bytes / MEBI))} MB`;
}

/** Throw a Problem where a file is larger than the server takes; where it has not said how much that is, it will say so itself. */
export function checkSize({ name, size }: { name: string; size: number }, kind: "recording" | "file" | "body"): void {
  const most = page.peek()?.most_bytes?.[kind];
  if (!most || size <= most) return;
  throw new Problem("", false, 413, () => t("common.too_large", { name: clean(name), size: megabytes(size, Math.ceil), most: megabytes(most, Math.floor) }));
}
