// Files from a drop or a choice, folders with all that is in them.
const SOUND = /\.(wav|wave|w64|rf64|bwf|aif|aiff|aifc|flac|mp3|mp2|ogg|oga|opus|m4a|m4b|aac|ac3|wma|wv|ape|caf|au|snd|mka|webm|mp4|mov|mkv|3gp|amr|gsm|voc|tta|dsf)$/i;

export interface Given { file: File; name: string } // name: with the folders that it lies in

function isSound({ file, name }: Given): boolean {
  return /^(audio|video)\//.test(file.type) || SOUND.test(name);
}

export function chosen(files: FileList | null): Given[] {
  return [...(files ?? [])].map((file) => ({ file, name: file.webkitRelativePath || file.name })).filter(isSound);
}

/** All files of a drop. Must be called while the drop is handled: a browser shows its entries no longer. */
export async function dropped(data: DataTransfer): Promise<{ given: Given[]; folders: boolean }> {
  const items = [...data.items].filter((item) => item.kind === "file");
  const entries = items.map((item) => [item.webkitGetAsEntry(), item.getAsFile()] as const);
  const given: Given[] = [];
  let folders = false;
  for (const [entry, file] of entries) {
    folders ||= entry?.isDirectory ?? false;
    if (entry?.isDirectory) await walk(entry, given);
    else if (file) given.push({ file, name: file.name });
  }
  return { given: given.filter(isSound), folders };
}

async function walk(entry: FileSystemEntry, into: Given[]): Promise<void> {
  if (entry.isFile) {
    const file = await new Promise<File>((done, failed) => (entry as FileSystemFileEntry).file(done, failed));
    into.push({ file, name: entry.fullPath.replace(/^\//, "") });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((done, failed) => reader.readEntries(done, failed));
    if (some.length === 0) return; // a reader gives a hundred at a time
    for (const one of some) await walk(one, into);
  }
}
