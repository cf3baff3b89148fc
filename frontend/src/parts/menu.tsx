// A button that opens a panel below itself (on phones: from the bottom). The browser's own popover closes it: Esc, or a
// click elsewhere. What is in it is drawn only while it is open.
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { Icon, type IconName } from "./icons";

interface Props {
  label: string;
  icon?: IconName;
  bare?: boolean; // the icon alone is seen
  active?: boolean;
  tool?: boolean; // belongs to a toolbar
  class?: string;
  shown?: ComponentChildren; // instead of the label
  children: (close: () => void) => ComponentChildren;
}

export function Menu({ label, icon, bare, active, tool, shown, children, ...rest }: Props) {
  const id = useId();
  const button = useRef<HTMLButtonElement>(null);
  const panel = useRef<HTMLDivElement>(null);
  const [open, setOpen] = useState(false);
  useEffect(() => {
    if (!open) return;
    place(button.current!, panel.current!);
    panel.current!.querySelector<HTMLElement>("input, select, button")?.focus({ preventScroll: true });
  }, [open]);
  const close = () => panel.current?.hidePopover();
  return (
    <>
      <button
        ref={button} type="button" class={`${rest.class ?? "chip"}${active ? " active" : ""}`} popovertarget={id}
        aria-expanded={open} aria-haspopup="dialog" aria-label={bare ? label : undefined} title={bare ? label : undefined}
        {...(tool ? { "data-tool": true } : {})}
      >
        {icon && <Icon name={icon} />}
        {!bare && <span>{shown ?? label}</span>}
        {!bare && <Icon name="down" />}
      </button>
      <div
        ref={panel} id={id} popover="auto" class="panel" role="dialog" aria-label={label}
        onToggle={(event) => setOpen(event.newState === "open")}
      >
        {open && children(close)}
      </div>
    </>
  );
}

function place(button: HTMLElement, panel: HTMLElement): void {
  const { left, bottom } = button.getBoundingClientRect();
  const x = Math.max(8, Math.min(left, innerWidth - panel.offsetWidth - 8));
  panel.style.setProperty("--x", `${x}px`);
  panel.style.setProperty("--y", `${bottom + 4}px`);
}
