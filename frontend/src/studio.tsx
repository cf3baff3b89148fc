// A place that is still made by the server's studio, in a frame of its own. It is made when it is first opened, and stays.
import { useMemo, useRef } from "preact/hooks";
import { PLACES, state, type Place } from "./state";
import { isDark } from "./theme";
import { language, t } from "./words";

export function Studios() {
  const opened = useRef(new Map<Place, string>());
  const { place, tool } = state.value;
  if (place !== "find") opened.current.set(place, tool || opened.current.get(place) || "");
  return (
    <>
      {PLACES.filter((name) => opened.current.has(name)).map((name) => (
        <main key={name} class="studio" hidden={name !== place} aria-label={t(`place.${name}`)}>
          <Frame place={name} tool={opened.current.get(name)!} />
        </main>
      ))}
    </>
  );
}

/** Drawn anew, and so loaded anew, only when its language or tool changes. */
function Frame({ place, tool }: { place: Place; tool: string }) {
  const now = language.value;
  const src = useMemo(() => address(place, tool), [place, tool, now]);
  return <iframe src={src} title={t(`place.${place}`)} allow="microphone; autoplay" />;
}

function address(place: Place, tool: string): string {
  const url = new URLSearchParams({ place, lang: language.value, __theme: isDark() ? "dark" : "light" });
  if (tool) url.set("tool", tool);
  return `studio/?${url}`;
}
