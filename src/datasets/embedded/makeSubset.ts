/**
 * Makes the embedded subset of Fashion-MNIST from the full dataset:
 *
 *     node dist/src/datasets/embedded/makeSubset.js DIR_WITH_ORIGINALS
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { CodistillError } from '../../errors.ts';
import { projectRoot } from '../../paths.ts';
import { balancedSubset } from '../balancedSubset.ts';
import { remedyFor } from '../definition.ts';
import { encodeIdx } from '../encodeIdx.ts';
import { fashionMnist } from '../fashionMnist.ts';
import { locateIn } from '../locate.ts';
import { readDataFile } from '../readDataFile.ts';
import type { ImageSet } from '../types.ts';

const TRAIN_SIZE = 10_000;
const TEST_SIZE = 2_000;

/** gzip with no time and no operating system in its header: the same content gives the same bytes. */
function compress(bytes: Uint8Array): Uint8Array {
  const packed = gzipSync(bytes, { level: 9 });
  packed.writeUInt32LE(0, 4);
  packed[9] = 255;
  return packed;
}

/** The idx files of one split, images first. */
function encode(set: ImageSet): Uint8Array[] {
  const [height, width] = fashionMnist.imageShape;
  return [
    encodeIdx([set.count, height, width], set.images),
    encodeIdx([set.count], Uint8Array.from(set.labels)),
  ];
}

/**
 * Writes the first 1,000 training and 200 test images of each class, in their original order, as four gzip-compressed
 * idx files with the original names.
 *
 * @throws {DataError} when the originals are missing or damaged
 */
export async function makeSubset(originals: string, target: string): Promise<void> {
  const { paths } = locateIn('fashion-mnist', fashionMnist, originals);
  const remedy = remedyFor(fashionMnist);
  const { train, test } = fashionMnist.parse(
    await Promise.all(paths.map((path) => readDataFile(path, remedy))),
  );
  const classes = fashionMnist.classNames.length;
  const contents = [
    ...encode(balancedSubset(train, TRAIN_SIZE, classes, 'training subset')),
    ...encode(balancedSubset(test, TEST_SIZE, classes, 'test subset')),
  ];
  await mkdir(target, { recursive: true });
  for (const [i, file] of fashionMnist.files.entries()) {
    await writeFile(join(target, file), compress(contents[i]!));
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const originals = process.argv[2];
  if (originals === undefined) {
    process.stderr.write(`Usage: node ${basename(process.argv[1])} DIR_WITH_ORIGINALS\n`);
    process.exitCode = 2;
  } else {
    try {
      await makeSubset(originals, join(projectRoot, fashionMnist.embeddedFolder!));
    } catch (error) {
      if (!(error instanceof CodistillError)) throw error;
      process.stderr.write(`${error.message}\n`);
      process.exitCode = error.exitCode;
    }
  }
}
