// Ogg Vorbis ends within a block, at the position that its last page tells. Chromium leaves such a block out, up to 4 ms
// of a short sound, whose copies in a clip then stand elsewhere. So the page is made to tell a later position, all blocks
// are decoded, and what is behind the true end is cut off.

const BLOCK = 8192n; // the longest block of Vorbis
const LAST_PAGE = 65_536; // bytes; a page is no longer
const [VERSION, POSITION, SERIAL, CHECKSUM, SEGMENTS] = [4, 6, 14, 22, 26]; // places in the head of a page

/** Changes the bytes of a file with one Vorbis stream so that all of it is decoded → its true length in seconds; null for others. */
export function openOggEnd(bytes: ArrayBuffer): number | null {
  const all = new Uint8Array(bytes);
  const view = new DataView(bytes);
  if (!isPage(all, 0) || all.length < 64) return null;
  const codec = SEGMENTS + 1 + all[SEGMENTS]!;
  if (String.fromCharCode(...all.subarray(codec, codec + 7)) !== "\u0001vorbis") return null;
  const rate = view.getUint32(codec + 12, true);
  let last = all.length - SEGMENTS - 1;
  while (last > Math.max(0, all.length - LAST_PAGE - 300) && !isPage(all, last)) last--;
  if (!isPage(all, last) || view.getUint32(last + SERIAL, true) !== view.getUint32(SERIAL, true)) return null;
  const end = view.getBigInt64(last + POSITION, true);
  if (end <= 0n || !rate) return null;
  view.setBigInt64(last + POSITION, end + BLOCK, true);
  view.setUint32(last + CHECKSUM, 0, true);
  view.setUint32(last + CHECKSUM, checksum(all.subarray(last, last + pageBytes(all, last))), true);
  return Number(end) / rate;
}

function isPage(all: Uint8Array, at: number): boolean {
  return [0x4f, 0x67, 0x67, 0x53, 0].every((byte, i) => all[at + i] === byte) && VERSION < all.length - at; // "OggS", version 0
}

function pageBytes(all: Uint8Array, at: number): number {
  const segments = all.subarray(at + SEGMENTS + 1, at + SEGMENTS + 1 + all[at + SEGMENTS]!);
  return SEGMENTS + 1 + segments.length + segments.reduce((sum, size) => sum + size, 0);
}

/** The CRC of a page: polynomial 0x04c11db7, from the highest bit on, nothing inverted. */
function checksum(page: Uint8Array): number {
  let crc = 0;
  for (const byte of page) {
    crc ^= byte << 24;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x80000000 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  }
  return crc >>> 0;
}
