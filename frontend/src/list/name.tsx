import { clean, inTwo } from "./names";

/** A name on one line: where there is no room its middle is left out, never its end. */
export function Name({ name, folder }: { name: string; folder?: boolean }) {
  const last = folder ? Math.min(16, name.length - name.lastIndexOf("/")) : undefined; // of folders the innermost stays
  const [head, tail] = inTwo(name, last);
  return (
    <bdi class="name" title={clean(name)}>
      <span class="name-head">{head}</span>
      {tail && <span class="name-tail">{tail}</span>}
    </bdi>
  );
}
