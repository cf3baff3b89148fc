// Which rows of a very long list are seen. A browser draws no element higher than some 16 million pixels, so a list of a
// million rows scrolls in a shorter one: small steps move it by as many pixels, a dragged scrollbar by its share.
import { signal } from "@preact/signals";

const TALLEST = 8_000_000; // px
const SETTLE = 180; // ms without scrolling, until the scrollbar is put where it belongs
const OVER = 8; // rows drawn beyond what is seen

export interface Seen { first: number; last: number; shift: number } // shift: px to add to index × height

export class Scroller {
  readonly seen = signal<Seen>({ first: 0, last: -1, shift: 0 });
  height = 0; // px, of the scrolled element
  private element: HTMLElement | null = null;
  private count = 0;
  private row = 1;
  private offset = 0; // px, from the top of the full list
  private top = 0; // scrollTop as it was last seen
  private timer = 0;

  attach(element: HTMLElement): () => void {
    this.element = element;
    const scrolled = () => this.scrolled();
    const resized = new ResizeObserver(() => this.draw());
    element.addEventListener("scroll", scrolled, { passive: true });
    resized.observe(element);
    this.draw();
    return () => {
      element.removeEventListener("scroll", scrolled);
      resized.disconnect();
      this.element = null;
    };
  }

  /** How many rows there are, and how high each is; says how high the scrolled element must be. */
  measure(count: number, row: number): number {
    if (count !== this.count || row !== this.row) {
      [this.count, this.row] = [count, row];
      this.height = Math.min(count * row, TALLEST);
      queueMicrotask(() => this.scrolled());
    }
    return this.height;
  }

  /** Rows that fit, less one that both pages share. */
  get page(): number {
    return Math.max(1, Math.floor(this.view / this.row) - 1);
  }

  toTop(): void {
    this.place(0);
  }

  /** Bring a row into view, by as little as possible. */
  reveal(index: number): void {
    const y = index * this.row;
    if (y < this.offset) this.place(y);
    else if (y + this.row > this.offset + this.view) this.place(y + this.row - this.view);
  }

  private get view(): number {
    return this.element?.clientHeight ?? 0;
  }
  private get full(): number {
    return Math.max(0, this.count * this.row - this.view);
  }
  private get way(): number {
    return Math.max(0, this.height - this.view);
  }

  private place(offset: number): void {
    this.offset = Math.max(0, Math.min(offset, this.full));
    this.settle();
  }

  private scrolled(): void {
    if (!this.element) return;
    const top = this.element.scrollTop;
    const moved = top - this.top;
    this.top = top;
    if (this.way >= this.full) this.offset = top;
    else if (top <= 0) this.offset = 0;
    else if (top >= this.way - 1) this.offset = this.full;
    else if (Math.abs(moved) > 2 * this.view) this.offset = (top / this.way) * this.full;
    else if (moved) this.offset = Math.max(0, Math.min(this.offset + moved, this.full));
    if (this.way < this.full && moved) {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.rest(), SETTLE);
    }
    this.draw();
  }

  /** Nothing is scrolled any more: the scrollbar goes where it belongs, unless it has just been moved. */
  private rest(): void {
    if (this.element && Math.abs(this.element.scrollTop - this.top) > 1) this.scrolled();
    else this.settle();
  }

  private settle(): void {
    if (!this.element) return;
    this.element.scrollTop = this.way < this.full ? (this.offset / this.full) * this.way : this.offset;
    this.top = this.element.scrollTop;
    if (this.way >= this.full) this.offset = this.top;
    this.draw();
  }

  private draw(): void {
    const first = Math.max(0, Math.floor(this.offset / this.row) - OVER);
    const last = Math.min(this.count, Math.ceil((this.offset + this.view) / this.row) + OVER) - 1;
    const shift = this.way < this.full ? this.top - this.offset : 0;
    const now = this.seen.peek();
    if (first !== now.first || last !== now.last || Math.abs(shift - now.shift) > 0.5) this.seen.value = { first, last, shift };
  }
}
