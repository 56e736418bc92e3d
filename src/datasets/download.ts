import { createHash } from 'node:crypto';
import { DataError, messageOf } from '../errors.ts';
import type { Download } from './definition.ts';

/**
 * Downloads a file into memory and verifies it.
 *
 * @param idleMs how long the server may send nothing, from the connection on
 * @throws {DataError} when the server cannot be reached, answers with an error or falls silent, or when size or SHA-256
 *   differ from those expected
 */
export async function download(url: string, expected: Download, idleMs = 30_000): Promise<Uint8Array> {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), idleMs);
  try {
    const bytes = await receive(url, expected, controller.signal, () => timer.refresh());
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    if (sha256 !== expected.sha256) {
      throw new DataError(
        `${url}: expected SHA-256 ${expected.sha256}, got ${sha256}. The file served is not the original; try another mirror.`,
      );
    }
    return bytes;
  } catch (error) {
    if (error instanceof DataError) throw error;
    const reason = controller.signal.aborted ? `no data for ${idleMs / 1000} s` : reasonOf(error);
    throw new DataError(
      `Cannot download ${url}: ${reason}. Check the network, or set CODISTILL_DATASETS_URL to a mirror's folder.`,
      { cause: error },
    );
  } finally {
    clearTimeout(timer);
  }
}

/** The body of the response, of the expected size; `onData` is called for each piece. */
async function receive(
  url: string,
  expected: Download,
  signal: AbortSignal,
  onData: () => void,
): Promise<Uint8Array> {
  // Without `identity` a server may mark a .gz file as an encoding, and it would arrive decompressed.
  const response = await fetch(url, { signal, headers: { 'accept-encoding': 'identity' } });
  if (!response.ok || response.body === null) {
    await response.body?.cancel();
    throw new DataError(`${url}: expected status 200, got ${response.status} ${response.statusText}.`);
  }
  const bytes = new Uint8Array(expected.bytes);
  let length = 0;
  for await (const chunk of response.body) {
    onData();
    if (length + chunk.length > bytes.length) {
      throw new DataError(`${url}: expected ${expected.bytes} bytes, got more.`);
    }
    bytes.set(chunk, length);
    length += chunk.length;
  }
  if (length < bytes.length) throw new DataError(`${url}: expected ${expected.bytes} bytes, got ${length}.`);
  return bytes;
}

/** `fetch` puts what happened, such as `connect ECONNREFUSED`, in the cause of its error. */
function reasonOf(error: unknown): string {
  return error instanceof Error && error.cause !== undefined ? messageOf(error.cause) : messageOf(error);
}
