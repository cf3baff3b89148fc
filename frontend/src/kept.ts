// What this browser keeps for its user. A browser that keeps nothing (private windows) is no error.
const PREFIX = "openclap.";

export const kept = {
  get<T>(name: string, otherwise: T): T {
    try {
      const text = localStorage.getItem(PREFIX + name);
      return text === null ? otherwise : (JSON.parse(text) as T);
    } catch {
      return otherwise;
    }
  },
  set(name: string, value: unknown): void {
    try {
      localStorage.setItem(PREFIX + name, JSON.stringify(value));
    } catch {
      // full, or not allowed
    }
  },
};
