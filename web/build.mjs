// Builds src/ and what `openclap export --onnx` wrote into a folder of static files: node build.mjs [MODEL] [OUT]
// The same sources, lock file and model give the same bytes. Every address is relative, so that it works below any path.
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const [model = join(here, "..", "build", "web-model"), out = join(here, "..", "build", "web")] = process.argv.slice(2).map((path) => resolve(path));
const BUNDLED = ["@huggingface/tokenizers", "onnxruntime-web"];
const ENGINE = "ort-wasm-simd-threaded.wasm";
const LEXICON = "chinese.json";
const MOST = 60e6; // bytes of everything

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
const version = (files) => sha256(files.map((file) => `${file} ${sha256(readFileSync(join(out, file)))}`).join()).slice(0, 12);

/** openclap's own lexicon, whose lines are zh,en. */
function readLexicon(folder) {
  const lines = readFileSync(join(folder, "zh.csv"), "utf8").trim().split(/\r?\n/).slice(1);
  const words = Object.fromEntries(lines.map((line) => {
    const [, zh, quoted, plain] = /^([^,"]+),(?:"((?:[^"]|"")*)"|([^",]*))$/.exec(line) ?? [];
    if (!zh) throw new Error(`zh.csv has a line that is not zh,en: ${line}`);
    return [zh, quoted === undefined ? plain : quoted.replaceAll('""', '"')];
  }));
  const [traditional, simplified] = readFileSync(join(folder, "hant.txt"), "utf8").split(/\r?\n/);
  return { words, traditional, simplified };
}

rmSync(out, { recursive: true, force: true });
mkdirSync(join(out, "data"), { recursive: true });

// What is large and seldom changes: the model and the engine.
const manifest = JSON.parse(readFileSync(join(model, "manifest.json"), "utf8"));
if (manifest.format !== "openclap-onnx" || manifest.format_version !== 1) throw new Error(`${model} is not what openclap export --onnx writes`);
const names = ["manifest.json", "audio.onnx", "text.onnx", manifest.tokenizer.file, ...(manifest.confidence ? [manifest.confidence] : [])];
for (const name of names) copyFileSync(join(model, name), join(out, "data", name));
copyFileSync(join(here, "node_modules/onnxruntime-web/dist", ENGINE), join(out, "data", ENGINE));
writeFileSync(join(out, "data", LEXICON), JSON.stringify(readLexicon(join(here, "../src/openclap/language"))));
const data = [...names, LEXICON, ENGINE].map((name) => {
  const content = readFileSync(join(out, "data", name));
  return { file: `data/${name}`, bytes: content.length, sha256: sha256(content) };
});

const options = {
  absWorkingDir: here,
  outdir: out,
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2022"],
  legalComments: "none", // they are in LICENSES
  charset: "utf8",
  logLevel: "warning",
};
await esbuild.build({
  ...options,
  entryPoints: ["src/main.ts", "src/worker.ts", "src/style.css"],
  define: { DATA: JSON.stringify(data), DATA_VERSION: JSON.stringify(version(data.map(({ file }) => file))) },
});
copyFileSync(join(here, "src/index.html"), join(out, "index.html"));
const pages = ["index.html", "main.js", "worker.js", "style.css"];
await esbuild.build({
  ...options,
  entryPoints: ["src/offline.ts"],
  format: "iife",
  define: {
    PAGES: JSON.stringify(["./", ...pages]),
    PAGES_VERSION: JSON.stringify(version(pages)),
    DATA_VERSION: JSON.stringify(version(data.map(({ file }) => file))),
  },
});

const notices = BUNDLED.map((name) => {
  const folder = join(here, "node_modules", name);
  const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const file = join(folder, "LICENSE");
  const text = existsSync(file) ? readFileSync(file, "utf8").replaceAll("\r\n", "\n").trim() : readFileSync(join(here, "licences", name), "utf8").trim();
  return `${name} ${version} (${license})\n\n${text}\n`;
});
writeFileSync(join(out, "LICENSES"), `worker.js and data/ hold these packages, the model ${manifest.model} (${manifest.licence}), and code of openclap itself.\n\n${notices.join(`\n${"-".repeat(72)}\n\n`)}`);

const total = [...pages, "offline.js", "LICENSES", ...data.map(({ file }) => file)].reduce((sum, file) => sum + statSync(join(out, file)).size, 0);
if (total > MOST) throw new Error(`${out} has ${total} bytes, at most ${MOST} are allowed`);
console.log(`${out}: ${(total / 1e6).toFixed(1)} MB`);
