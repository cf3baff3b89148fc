// Builds src/ into the folder that the wheel carries. The same sources and lock file give the same bytes anywhere:
// no times, no hashes, no paths of this machine. `--watch` builds anew when a file changes.
import { readFileSync, writeFileSync, mkdirSync, copyFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "..", "src", "openclap", "serve", "static");
const BUNDLED = ["@preact/signals", "@preact/signals-core", "preact"]; // what ends up in app.js

const options = {
  absWorkingDir: here,
  entryPoints: { app: "src/main.tsx", microphone: "src/live/worklet.ts" },
  outdir: out,
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2022"],
  supported: { nesting: true },
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none", // they are in LICENSES
  charset: "utf8",
  logLevel: "info",
};

function licences() {
  const parts = BUNDLED.map((name) => {
    const folder = join(here, "node_modules", name);
    const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const text = readFileSync(join(folder, "LICENSE"), "utf8").replaceAll("\r\n", "\n").trim();
    return `${name} ${version} (${license})\n\n${text}\n`;
  });
  return "app.js holds these packages, and code of openclap itself.\n\n" + parts.join(`\n${"-".repeat(72)}\n\n`);
}

mkdirSync(out, { recursive: true });
copyFileSync(join(here, "src", "index.html"), join(out, "index.html"));
writeFileSync(join(out, "LICENSES"), licences());
if (process.argv.includes("--watch")) await (await esbuild.context(options)).watch();
else await esbuild.build(options);
