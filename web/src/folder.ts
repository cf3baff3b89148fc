// What the user picks or drops → the sound files in it. A file's path begins with the name of the folder, whatever way it came.

export interface Picked {
  path: string;
  open(): Promise<File>;
}

export const KINDS = ["wav", "mp3", "flac", "ogg", "oga", "opus", "m4a", "aac", "mp4", "webm", "aif", "aiff"];

/** The files of a list, of an <input> for folders or for files. */
export function filesOf(list: Iterable<File>): Picked[] {
  return [...list].filter(({ name }) => isSound(name)).map((file) => ({ path: file.webkitRelativePath || file.name, open: async () => file }));
}

/** The files below a folder that the browser has given access to. */
export async function walk(folder: FileSystemDirectoryHandle, path = folder.name): Promise<Picked[]> {
  const found: Picked[] = [];
  for await (const [name, entry] of folder.entries()) {
    if (name.startsWith(".")) continue;
    if (entry.kind === "directory") found.push(...(await walk(entry as FileSystemDirectoryHandle, `${path}/${name}`)));
    else if (isSound(name)) found.push({ path: `${path}/${name}`, open: () => (entry as FileSystemFileHandle).getFile() });
  }
  return found;
}

/** The files of what was dropped; has to be called before the event is over. */
export async function dropped(data: DataTransfer): Promise<Picked[]> {
  const found = [...data.items].filter(({ kind }) => kind === "file").map((item) => {
    const [entry, file] = [item.webkitGetAsEntry(), item.getAsFile()];
    return entry ? walkEntry(entry) : filesOf(file ? [file] : []);
  });
  return (await Promise.all(found)).flat();
}

async function walkEntry(entry: FileSystemEntry): Promise<Picked[]> {
  if (entry.name.startsWith(".")) return [];
  if (entry.isFile) {
    const open = () => new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    return isSound(entry.name) ? [{ path: entry.fullPath.replace(/^\//, ""), open }] : [];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: Picked[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject)); // a hundred at most
    if (!some.length) return found;
    for (const one of some) found.push(...(await walkEntry(one)));
  }
}

function isSound(name: string): boolean {
  return !name.startsWith(".") && KINDS.includes(name.slice(name.lastIndexOf(".") + 1).toLowerCase());
}
