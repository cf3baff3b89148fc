// The rows of the library, in pages that are fetched as they are needed, and the same interface over a list that is whole.
import { signal } from "@preact/signals";
import { get, type Hit, type Params, type Sound } from "./api";
import { clear, show } from "./problems";
import { learn, version } from "./sounds";

export interface Row { path: string; hit?: Hit; line?: true }
export interface Rows {
  readonly total: number;
  at(index: number): Row | undefined;
  want(first: number, last: number): void;
}

const PAGE = 200;
const KEPT = 60; // pages: twelve thousand rows
const REST = 50; // ms without a jump, until the rows of a dragged scrollbar are asked for
const LONGEST = 200; // ms that they wait at most

export class LibraryRows implements Rows {
  total = 0;
  ready = signal(false);
  private pages = new Map<number, Row[]>();
  private asked = new Map<number, AbortController>();
  private wanted = new Set<number>();
  private timer = 0;
  private last = 0;
  private since = 0;
  private over = false;

  constructor(private readonly filters: Params) {}

  at(index: number): Row | undefined {
    return this.pages.get(Math.floor(index / PAGE))?.[index % PAGE];
  }

  /**
   * Say which rows are seen. The pages of these and the next ones on the way are fetched, at once where the list is
   * scrolled, and when it rests a little where the scrollbar is dragged; pages that nobody waits for any more are given up.
   */
  want(first: number, last: number): void {
    const moved = first - this.last;
    this.last = first;
    const [from, to] = [Math.floor(first / PAGE), Math.floor(Math.max(first, last) / PAGE)];
    const ahead = Math.abs(moved) > 20 ? 2 : 1;
    this.wanted = new Set();
    for (let page = from; page <= to; page++) this.wanted.add(page);
    if (moved >= 0) for (let more = 1; more <= ahead; more++) this.wanted.add(to + more);
    else for (let more = 1; more <= ahead && from - more >= 0; more++) this.wanted.add(from - more);
    for (const [page, request] of this.asked) if (!this.wanted.has(page)) request.abort();
    if (Math.abs(moved) < PAGE) return this.fetch();
    if (!this.timer) this.since = performance.now();
    if (this.timer && performance.now() - this.since > LONGEST) return this.fetch();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.fetch(), REST);
  }

  private fetch(): void {
    clearTimeout(this.timer);
    this.timer = 0;
    const most = this.ready.peek() ? Math.ceil(this.total / PAGE) : 1;
    for (const page of this.wanted) if (page < most && !this.pages.has(page) && !this.asked.has(page)) void this.load(page);
  }

  async load(page: number): Promise<void> {
    const request = new AbortController();
    this.asked.set(page, request);
    try {
      const got = await get<{ total: number; files: Sound[] }>(
        "v1/library/files", { ...this.filters, offset: page * PAGE, limit: PAGE }, request.signal,
      );
      if (this.over) return;
      this.total = got.total;
      this.pages.set(page, got.files.map(({ path }) => ({ path })));
      this.forget();
      clear("library");
      this.ready.value = true;
      learn(got.files);
    } catch (error) {
      if (!this.over) show("library", error, () => void this.load(page));
    } finally {
      if (this.asked.get(page) === request) this.asked.delete(page);
    }
  }

  private forget(): void {
    for (const page of this.pages.keys()) {
      if (this.pages.size <= KEPT) return;
      if (!this.wanted.has(page)) this.pages.delete(page);
    }
  }

  /** Nobody looks at it any more. */
  end(): void {
    this.over = true;
    clearTimeout(this.timer);
    for (const request of this.asked.values()) request.abort();
  }
}

/** Rows that are all there: results of a search. */
export class WholeRows implements Rows {
  constructor(private readonly rows: readonly Row[]) {}
  get total(): number {
    return this.rows.length;
  }
  at(index: number): Row | undefined {
    return this.rows[index];
  }
  want(): void {}
}

/** Signals that rows of a page have come: reading it makes a component draw anew. */
export function watchRows(): number {
  return version.value;
}
