// Is the table of strings whole: both languages, the same places in both, no key that nothing uses, no text outside it?
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { buildSync } from "esbuild";

const files = (folder) => readdirSync(folder).flatMap((name) => {
  const path = join(folder, name);
  return statSync(path).isDirectory() ? files(path) : [path];
});
const [{ text: code }] = buildSync({ entryPoints: ["src/strings.ts"], bundle: true, write: false, format: "esm", charset: "utf8" }).outputFiles;
const { TABLE } = await import(`data:text/javascript,${encodeURIComponent(code)}`);
const sources = files("src").filter((path) => /\.tsx?$/.test(path) && !path.endsWith("strings.ts")).map((path) => [path, readFileSync(path, "utf8")]);
const all = sources.map(([, text]) => text).join("\n");
const made = [...all.matchAll(/`([\w.]+[._])\$\{/g)].map(([, start]) => start); // keys that are put together: `hit.${verdict}`
const places = (text) => [...text.matchAll(/\{(\w+)/g)].map(([, name]) => name).sort().join();
const wrong = [];
for (const [key, [en, zh]] of Object.entries(TABLE)) {
  if (!en || !zh) wrong.push(`${key}: a language is missing`);
  if (places(en) !== places(zh)) wrong.push(`${key}: {${places(en)}} in English, {${places(zh)}} in Chinese`);
  if (!all.includes(`"${key}"`) && !made.some((start) => key.startsWith(start))) wrong.push(`${key}: nothing uses it`);
}
for (const [path, text] of sources) {
  for (const [found] of text.matchAll(/>[^<>{}()=;&|?:]*[A-Za-z]{3,}[^<>{}()=;&|?:]*<\//g)) if (!/>openclap</.test(found)) wrong.push(`${path}: text outside the table: ${found}`);
  for (const [found] of text.matchAll(/(?:aria-label|title|placeholder|alt)="[^"]+"/g)) wrong.push(`${path}: text outside the table: ${found}`);
}
wrong.forEach((line) => console.error(line));
process.exitCode = wrong.length ? 1 : 0;
