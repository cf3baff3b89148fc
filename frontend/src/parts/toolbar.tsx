// A row of controls that is one Tab stop: ← → Home End move in it. Its controls carry `data-tool`.
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

export function Toolbar({ label, children, ...rest }: { label: string; children: ComponentChildren; class?: string }) {
  const bar = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const mend = () => rove(bar.current!);
    const changes = new MutationObserver(mend);
    changes.observe(bar.current!, { childList: true, subtree: true });
    mend();
    return () => changes.disconnect();
  }, []);
  return (
    <div ref={bar} role="toolbar" aria-label={label} onKeyDown={step} onFocusIn={(event) => rove(event.currentTarget, event.target)} {...rest}>
      {children}
    </div>
  );
}

function tools(bar: HTMLElement): HTMLElement[] {
  return [...bar.querySelectorAll<HTMLElement>("[data-tool]")].filter((tool) => !tool.matches(":disabled"));
}

function rove(bar: HTMLElement, target?: EventTarget | null): void {
  const all = tools(bar);
  const to = all.find((tool) => tool === target) ?? all.find((tool) => tool.tabIndex === 0) ?? all[0];
  for (const tool of all) if (tool.tabIndex !== (tool === to ? 0 : -1)) tool.tabIndex = tool === to ? 0 : -1;
}

function step(event: KeyboardEvent): void {
  const target = event.target as HTMLElement;
  if (!target.hasAttribute("data-tool") || event.altKey || event.ctrlKey || event.metaKey) return;
  const all = tools(event.currentTarget as HTMLElement).filter((tool) => tool.checkVisibility()); // some are for phones alone
  const at = all.indexOf(target);
  const keys: Record<string, number> = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: all.length - 1 };
  let to = keys[event.key];
  if (to === undefined) return;
  if (target instanceof HTMLInputElement && target.type !== "checkbox") {
    const { selectionStart: from, selectionEnd: end, value } = target; // in a text the keys move in it first
    if (from !== end || event.key === "Home" || event.key === "End") return;
    if (event.key === "ArrowLeft" ? from !== 0 : from !== value.length) return;
  }
  to = (to + all.length) % all.length;
  event.preventDefault();
  all[to]?.focus();
}
