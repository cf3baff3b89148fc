// Icons, drawn here so that none is fetched: lines in a box of 24.
const LINES = {
  search: "M11 4a7 7 0 1 0 0 14a7 7 0 1 0 0-14M16 16l4.5 4.5",
  sound: "M4 10v4M8 6v12M12 3v18M16 7v10M20 10v4",
  options: "M4 7h10M18 7h2M4 17h2M10 17h10M16 4.5v5M8 14.5v5",
  history: "M4 12a8 8 0 1 0 2.6-5.9L4 8.5M4 4v4.5h4.5M12 8v4.5l3 2",
  play: "M8 5.5v13l10.5-6.5z",
  pause: "M8.5 5.5v13M15.5 5.5v13",
  loop: "M17 3l3 3l-3 3M20 6H8a4 4 0 0 0-4 4v1M7 21l-3-3l3-3M4 18h12a4 4 0 0 0 4-4v-1",
  star: "M12 3.6l2.6 5.3l5.8.8l-4.2 4.1l1 5.8l-5.2-2.7l-5.2 2.7l1-5.8L3.6 9.7l5.8-.8z",
  like: "M5 9c2.3-3.5 4.7-3.5 7 0s4.7 3.5 7 0M5 16c2.3-3.5 4.7-3.5 7 0s4.7 3.5 7 0",
  close: "M6 6l12 12M18 6L6 18",
  down: "M6.5 9.500l5.5 5.500l5.5-5.5",
  right: "M9.5 6.500l5.5 5.500l-5.5 5.5",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  help: "M9 9.300a3 3 0 1 1 4.3 2.700c-.9.45-1.3 1-1.3 2M12 17.300v.2",
  theme: "M12 4a8 8 0 1 0 0 16zM12 4a8 8 0 0 1 0 16",
  list: "M8.5 6.500H20M8.5 12H20M8.5 17.500H20M4 6.500h.1M4 12h.1M4 17.500h.1",
  map: "M7 7.500h.1M16.5 5.500h.1M12 12h.1M6 16.500h.1M17.5 14h.1M13.5 18.500h.1M9.5 9.500h.1",
  lasso: "M12 5c4.5 0 8 2 8 5s-3.5 5-8 5s-8-2-8-5s3.5-5 8-5M7 14.500c-1 1-1 2.5.5 3s2 2 1 3",
  whole: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  find: "M11 4a7 7 0 1 0 0 14a7 7 0 1 0 0-14M16 16l4.5 4.5",
  recording: "M4 10v4M8 6v12M12 3v18M16 7v10M20 10v4",
  live: "M12 4a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0V7a3 3 0 0 0-3-3M5.5 11.500a6.5 6.5 0 0 0 13 0M12 18v3",
  teach: "M3 9l9-4.500L21 9l-9 4.500zM7 11.500V16c2.5 2.7 7.5 2.7 10 0v-4.500M21 9v5",
  tag: "M4 4h7.500l8.5 8.500l-7.5 7.500L4 11.500zM8 8h.1",
  folder: "M3.5 6.500h6l2 2.500h9v9.500h-17z",
  select: "M4 4v16M20 4v16M8 12h8M10.5 9.500L8 12l2.5 2.500M13.5 9.500L16 12l-2.5 2.500",
  check: "M5 12.500l4.5 4.500L19 7.5",
  cut: "M6 4v16M18 4v16M6 12h12M9 9l-3 3l3 3M15 9l3 3l-3 3",
  turn: "M7 4v14M3.5 14.500L7 18l3.5-3.500M17 20V6M13.5 9.500L17 6l3.500 3.500",
  pen: "M4 20l1-4.500L16.500 4l3.500 3.500L8.500 19zM14 6.500l3.500 3.500",
  save: "M12 4v11M7.5 10.500l4.5 4.500l4.5-4.500M5 20h14",
  ear: "M7 9a5 5 0 0 1 10 0c0 3-2.5 3.5-2.5 6.500a3 3 0 0 1-5.5 1.500M10 9.500a2 2 0 1 1 3.2 1.6",
} as const;

export type IconName = keyof typeof LINES;

export function Icon({ name, full = false }: { name: IconName; full?: boolean }) {
  return (
    <svg class={full ? "icon full" : "icon"} viewBox="0 0 24 24" aria-hidden="true">
      <path d={LINES[name]} />
    </svg>
  );
}
