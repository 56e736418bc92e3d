import type { DataFile } from './dataFile.ts';
import type { ImageSet, ImageShape } from './types.ts';

/** A file on the dataset's official server. */
export interface Download {
  readonly name: string;
  readonly bytes: number;
  /** SHA-256 (hex) of the file as served. */
  readonly sha256: string;
}

/** All that codistill knows about a dataset before its files are read. */
export interface DatasetDefinition {
  readonly imageShape: ImageShape;
  /** Class `c` is called `classNames[c]`. */
  readonly classNames: readonly string[];
  /** Per-channel mean and standard deviation over the full training set, on the scale 0-1; also used for subsets. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** The files that hold the data, all in one folder. Those named `.gz` may also be there unpacked, without `.gz`. */
  readonly files: readonly string[];
  /**
   * The splits, from the contents of `files` in that order.
   *
   * @throws {DataError} when a file is not what it should be
   */
  readonly parse: (files: readonly DataFile[]) => { train: ImageSet; test: ImageSet };
  /** Names of the folder in which these files are commonly kept. */
  readonly folderNames: readonly string[];
  /** Folder of `downloads` on the web, with a slash at its end. */
  readonly baseUrl: string;
  /** Either `files` themselves, or `.tar.gz` archives that contain them. */
  readonly downloads: readonly Download[];
  /** Folder in which an operating system's package puts the files. */
  readonly systemFolder?: string;
  /** Folder of the subset that comes with codistill, relative to the project's root. */
  readonly embeddedFolder?: string;
}

/** How to get a dataset's files, as a sentence for error messages. */
export function remedyFor(definition: DatasetDefinition): string {
  const urls = definition.downloads.map((download) => definition.baseUrl + download.name);
  return `Get it with --download, or fetch ${urls.join(', ')} and pass the folder of the (unpacked) files with --data-dir.`;
}
