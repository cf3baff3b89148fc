// What teaching is about: examples, what was taught by them, and what is asked next.
import type { Hit, Unknown } from "../api";
import type { Sounding } from "./hearing";

export interface Example extends Sounding {
  yes: boolean;
  error?: string; // why it is not used
  broken?: true; // the server did not take it at all
}
export interface Share { value: number | null; low: number; high: number }
export interface Report {
  judged?: boolean; yes?: number; no?: number; unmarked?: boolean; verdict?: "better" | "even" | "worse" | null;
  precision?: Share; recall?: Share; average_precision?: Share;
  text?: Record<"precision" | "recall" | "average_precision", number | null> | null;
}
export interface Detector {
  name: string; text: string | null; model: string; examples: { yes?: number; no?: number; drawn?: number }; report: Report; fits: boolean; own: boolean; kept: number;
}
export interface Lesson {
  id: string; detector: Detector; hits: Hit[]; next: Hit[]; left_out: number; unknown: Unknown[]; before: Report | null;
  skipped: { of: "yes" | "no"; index: number; name: string; error: string }[];
}
export type Why = "words" | "like" | "unsure";
export interface Candidate extends Sounding { path: string; why: Why; likely?: number | null }
