import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import type { DataFile } from '../../src/datasets/dataFile.ts';
import type { ImageSet } from '../../src/datasets/types.ts';

/** Serves HTTP on the loopback interface until the test ends; returns its URL, with a slash at the end. */
export async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

/** Serves these files by name, and 404 for all others. */
export function serveFiles(files: Readonly<Record<string, Uint8Array>>): Promise<string> {
  return serve((request, response) => {
    const file = files[request.url!.slice(1)];
    response.statusCode = file === undefined ? 404 : 200;
    response.end(file);
  });
}

export function dataFile(path: string, bytes: Uint8Array): DataFile {
  return { path, bytes, remedy: 'Get another.' };
}

/** A set of one-pixel images: sample `i` has the pixel `i` (mod 256). */
export function tinySet(labels: readonly number[]): ImageSet {
  return {
    count: labels.length,
    images: Uint8Array.from(labels, (_, i) => i),
    labels: Uint16Array.from(labels),
  };
}

/** A file of the CIFAR binary format; every pixel of row `i` is `i` in red, `i + 1` in green, `i + 2` in blue. */
export function cifarFile(labelRows: readonly (readonly number[])[]): Uint8Array {
  return Uint8Array.from(
    labelRows.flatMap((labels, i) => [
      ...labels,
      ...[0, 1, 2].flatMap((channel) => new Array(1024).fill(i + channel)),
    ]),
  );
}

/** A ustar archive of these entries; a name that ends with a slash is a folder. */
export function tarArchive(entries: Readonly<Record<string, Uint8Array>>): Uint8Array {
  const blocks = Object.entries(entries).map(([name, bytes]) => {
    const block = Buffer.alloc(512 + Math.ceil(bytes.length / 512) * 512);
    block.write(name, 0);
    block.write(`${bytes.length.toString(8).padStart(11, '0')}\0`, 124);
    block.write(name.endsWith('/') ? '5' : '0', 156);
    block.write('ustar\0', 257);
    block.set(bytes, 512);
    return block;
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}
