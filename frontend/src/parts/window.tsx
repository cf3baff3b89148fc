// A dialog over the page: the browser keeps the focus in it, closes it by Esc and gives the focus back.
import type { ComponentChildren } from "preact";
import type { Signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { t } from "../words";
import { Icon } from "./icons";

export function Window({ open, title, children }: { open: Signal<boolean>; title: string; children: ComponentChildren }) {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (open.value) box.current?.showModal();
    else box.current?.close();
  }, [open.value]);
  const outside = (event: MouseEvent) => event.target === box.current && (open.value = false);
  return (
    <dialog ref={box} class="window" aria-label={title} onClose={() => (open.value = false)} onClick={outside}>
      {open.value && (
        <div class="window-inside">
          <header>
            <h2>{title}</h2>
            <button type="button" class="bare" aria-label={t("common.close")} onClick={() => (open.value = false)}><Icon name="close" /></button>
          </header>
          {children}
        </div>
      )}
    </dialog>
  );
}
