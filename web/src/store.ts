// What was heard of recordings, kept in IndexedDB by model and path, and valid for a size and time of change.

export interface Recording {
  path: string;
  size: number;
  modified: number;
  starts: Float64Array; // seconds, of the windows in which something is heard
  ends: Float64Array;
  vectors: Float32Array; // of these windows, one after the other
}

const VERSION = 1;

export class Store {
  private constructor(
    private readonly database: IDBDatabase | null,
    private readonly model: string,
  ) {}

  /** Where the browser keeps nothing, nothing is found and nothing kept. */
  static async open(model: string): Promise<Store> {
    try {
      const opening = indexedDB.open("openclap-web", VERSION);
      opening.onupgradeneeded = () => ["recordings", "folders"].forEach((name) => opening.result.createObjectStore(name));
      return new Store(await result(opening), model);
    } catch {
      return new Store(null, model);
    }
  }

  async find(path: string, file: File): Promise<Recording | null> {
    const found = (await this.ask("recordings", "readonly", (store) => store.get(this.key(path)))) as Recording | undefined;
    return found && found.size === file.size && found.modified === file.lastModified ? found : null;
  }

  /** Whether there was room for it. */
  async keep(recording: Recording): Promise<boolean> {
    try {
      await this.ask("recordings", "readwrite", (store) => store.put(recording, this.key(recording.path)));
      return true;
    } catch {
      return false;
    }
  }

  async keepFolder(folder: FileSystemDirectoryHandle): Promise<void> {
    await this.ask("folders", "readwrite", (store) => store.put(folder, folder.name)).catch(() => undefined);
  }

  async folders(): Promise<FileSystemDirectoryHandle[]> {
    return ((await this.ask("folders", "readonly", (store) => store.getAll()).catch(() => [])) ?? []) as FileSystemDirectoryHandle[];
  }

  async forget(): Promise<void> {
    for (const name of ["recordings", "folders"] as const) await this.ask(name, "readwrite", (store) => store.clear());
  }

  private key(path: string): string {
    return `${this.model}/${path}`;
  }

  private async ask(name: "recordings" | "folders", mode: IDBTransactionMode, request: (store: IDBObjectStore) => IDBRequest): Promise<unknown> {
    if (!this.database) return undefined;
    const transaction = this.database.transaction(name, mode);
    const value = await result(request(transaction.objectStore(name)));
    if (mode === "readwrite") await new Promise((resolve, reject) => ((transaction.oncomplete = resolve), (transaction.onabort = () => reject(transaction.error))));
    return value;
  }
}

function result<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
