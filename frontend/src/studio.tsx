// A place that is still made by the server's studio, in a frame of its own. It is made when it is first opened, and stays.
import { useMemo, useRef } from "preact/hooks";
import { state, type Place } from "./state";
import { isDark } from "./theme";
import { language, t } from "./words";

const FRAMED: readonly Place[] = ["teach"];

export function Studios() {
  const opened = useRef(new Set<Place>());
  const { place } = state.value;
  if (FRAMED.includes(place)) opened.current.add(place);
  return (
    <>
      {FRAMED.filter((name) => opened.current.has(name)).map((name) => (
        <main key={name} class="studio" hidden={name !== place} aria-label={t(`place.${name}`)}>
          <Frame place={name} />
        </main>
      ))}
    </>
  );
}

/** Drawn anew, and so loaded anew, only when its language changes. */
function Frame({ place }: { place: Place }) {
  const now = language.value;
  const src = useMemo(() => address(place), [place, now]);
  return <iframe src={src} title={t(`place.${place}`)} allow="microphone; autoplay" />;
}

function address(place: Place): string {
  const url = new URLSearchParams({ place, lang: language.value, __theme: isDark() ? "dark" : "light" });
  return `studio/?${url}`;
}
