// A place that is still made by the server's studio, in a frame of its own. It is made when it is first opened, and stays.
import { useRef } from "preact/hooks";
import { PLACES, state, type Place } from "./state";
import { language, t } from "./words";

export function Studios() {
  const opened = useRef(new Map<Place, string>());
  const { place, tool } = state.value;
  if (place !== "find") opened.current.set(place, tool || opened.current.get(place) || "");
  return (
    <>
      {PLACES.filter((name) => opened.current.has(name)).map((name) => (
        <main key={name} class="studio" hidden={name !== place} aria-label={t(`place.${name}`)}>
          <iframe src={address(name, opened.current.get(name)!)} title={t(`place.${name}`)} allow="microphone; autoplay" />
        </main>
      ))}
    </>
  );
}

function address(place: Place, tool: string): string {
  const url = new URLSearchParams({ place, lang: language.value });
  if (tool) url.set("tool", tool);
  return `studio/?${url}`;
}
