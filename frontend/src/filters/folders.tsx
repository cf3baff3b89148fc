// The folders of the library as a tree with counts: a disclosure beside each name, so it needs no keys of its own.
import { useSignal } from "@preact/signals";
import type { Count } from "../api";
import { facets } from "../finding";
import { clean } from "../list/names";
import { Icon } from "../parts/icons";
import { go, state } from "../state";
import { t } from "../words";
import { CountOf } from "./choice";

interface Folder { path: string; name: string; count: number; inside: Folder[] }

/** Folders by their names. One that is not told itself has what its folders have. */
export function tree(counts: readonly Count[]): Folder[] {
  const top: Folder = { path: "", name: "", count: 0, inside: [] };
  const known = new Map<string, Folder>([["", top]]);
  const told = new Set(counts.map(({ value }) => value));
  const make = (path: string): Folder => {
    const there = known.get(path);
    if (there) return there;
    const cut = path.lastIndexOf("/");
    const made: Folder = { path, name: path.slice(cut + 1), count: 0, inside: [] };
    known.set(path, made);
    make(path.slice(0, Math.max(0, cut))).inside.push(made);
    return made;
  };
  for (const { value, count } of counts) if (value) make(value).count = count;
  const add = (folder: Folder): number => {
    const sum = folder.inside.reduce((all, one) => all + add(one), 0);
    if (!told.has(folder.path)) folder.count = sum;
    folder.inside.sort((a, b) => a.name.localeCompare(b.name));
    return folder.count;
  };
  add(top);
  return top.inside;
}

export function Folders({ close }: { close: () => void }) {
  const { folder } = state.value;
  const choose = (path: string) => {
    go({ folder: path });
    close();
  };
  return (
    <>
      <button type="button" class="item" aria-pressed={folder === ""} onClick={() => choose("")}>{t("common.home")}</button>
      <ul class="tree">{tree(facets.value?.folders ?? []).map((one) => <Branch key={one.path} folder={one} choose={choose} />)}</ul>
    </>
  );
}

function Branch({ folder, choose }: { folder: Folder; choose: (path: string) => void }) {
  const chosen = state.value.folder;
  const open = useSignal(chosen === folder.path || chosen.startsWith(`${folder.path}/`));
  const name = clean(folder.name);
  return (
    <li>
      <div class="pair">
        {folder.inside.length > 0
          ? <button type="button" class={open.value ? "bare turn open" : "bare turn"} aria-expanded={open.value} aria-label={t(open.value ? "filter.shut" : "filter.open", { name })} onClick={() => (open.value = !open.value)}><Icon name="right" /></button>
          : <span class="bare" />}
        <button type="button" class="item" aria-pressed={chosen === folder.path} onClick={() => choose(folder.path)}><bdi>{name}</bdi><CountOf count={folder.count} /></button>
      </div>
      {open.value && <ul>{folder.inside.map((one) => <Branch key={one.path} folder={one} choose={choose} />)}</ul>}
    </li>
  );
}
