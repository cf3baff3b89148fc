// The focus is never lost: where what has it goes away (a tray that is emptied, a row of a place that was left), the part of
// the page around it gets it, so that Tab and screen readers go on from there.
let path: HTMLElement[] = []; // what has the focus, then what that is in
let asked = 0;

function isThere(one: HTMLElement): boolean {
  return one.isConnected && one.checkVisibility() && !one.matches(":disabled");
}

/** Give a part of the page the focus, which is no stop of Tab. */
export function focusPart(part: HTMLElement | null | undefined): void {
  if (!part) return;
  if (!part.hasAttribute("tabindex")) part.tabIndex = -1;
  part.focus({ preventScroll: true });
}

export function focusPlace(): void {
  focusPart(document.querySelector<HTMLElement>("main:not([hidden])"));
}

function check(): void {
  asked = 0;
  const [had, ...around] = path;
  if (!had || isThere(had)) return;
  const now = document.activeElement;
  if (now !== document.body && now !== had) return;
  const part = around.find((one) => one.matches("section, main, dialog, [popover]") && isThere(one));
  if (part) focusPart(part);
  else focusPlace();
}

/** Begin to look after it. Called once. */
export function keepFocus(): void {
  addEventListener("focusin", ({ target }) => {
    path = [];
    for (let one = target as HTMLElement | null; one; one = one.parentElement) path.push(one);
  });
  addEventListener("focusout", ({ target, relatedTarget }) => {
    if (relatedTarget) return;
    requestAnimationFrame(() => { // some browsers tell of it before what is removed is gone
      if (path[0] === target && isThere(path[0] as HTMLElement)) path = []; // it was given up
      else check();
    });
  });
  new MutationObserver(() => (asked ||= requestAnimationFrame(check))).observe(document.body, {
    subtree: true, childList: true, attributeFilter: ["hidden", "disabled"],
  });
}
