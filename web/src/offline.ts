// The service worker: the page and its data are there without a network, once they were loaded.
declare const PAGES: string[];
declare const PAGES_VERSION: string;
declare const DATA_VERSION: string;

const worker = self as unknown as ServiceWorkerGlobalScope;
const scope = new URL("./", worker.location.href);
const own = `openclap ${scope.pathname} `; // caches belong to a host, on which there may be several of these pages
const pages = `${own}pages ${PAGES_VERSION}`;
const kept = [pages, `${own}data ${DATA_VERSION}`];

worker.addEventListener("install", (event) => {
  const fresh = PAGES.map((page) => new Request(new URL(page, scope), { cache: "reload" }));
  event.waitUntil(caches.open(pages).then((cache) => cache.addAll(fresh)).then(() => worker.skipWaiting()));
});

worker.addEventListener("activate", (event) => {
  const old = async () => (await caches.keys()).filter((name) => name.startsWith(own) && !kept.includes(name));
  event.waitUntil(old().then((names) => Promise.all(names.map((name) => caches.delete(name)))).then(() => worker.clients.claim()));
});

worker.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || !request.url.startsWith(scope.href)) return;
  event.respondWith(answer(request));
});

async function answer(request: Request): Promise<Response> {
  for (const name of kept) {
    const found = await (await caches.open(name)).match(request, { ignoreSearch: true });
    if (found) return found;
  }
  return fetch(request);
}
