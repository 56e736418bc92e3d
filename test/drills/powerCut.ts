/**
 * Loaded before a program, writes down in the folder `DRILL_DISK` what the program's disk is sure to hold after a power
 * cut: of a file what was in it when it was last flushed (fsync), of a folder the names in it when that was. Disks keep
 * more as a rule, but nobody promises it. A folder that is flushed keeps the way to it, as on the usual file systems.
 */
import fs, { type BigIntStats } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';

const disk = process.env.DRILL_DISK!;
for (const part of ['files', 'folders']) fs.mkdirSync(join(disk, part), { recursive: true });

type Callback = (error: NodeJS.ErrnoException | null) => void;
type Keep = () => void;

/** A file's name may change, and its number be given to another one. */
const idOf = ({ ino, birthtimeNs }: BigIntStats): string => `${ino}-${birthtimeNs}`;

let writes = 0;
function keep(part: string, name: string, content: Uint8Array | string): void {
  const path = join(disk, part, name);
  const temporary = join(disk, `${process.pid}-${writes++}`);
  fs.writeFileSync(temporary, content);
  fs.renameSync(temporary, path);
}

/** What a flush makes last: what is there when it begins. Call the result when it has ended. */
function look(fd: number): Keep {
  const path = fs.readlinkSync(`/proc/self/fd/${fd}`);
  const stats = fs.fstatSync(fd, { bigint: true });
  if (!stats.isDirectory()) {
    const content = fs.readFileSync(`/proc/self/fd/${fd}`);
    return () => keep('files', idOf(stats), content);
  }
  const entries = fs.readdirSync(path).flatMap((name) => {
    const its = fs.statSync(join(path, name), { bigint: true, throwIfNoEntry: false });
    return its?.isFile() ? [[name, idOf(its)]] : [];
  });
  return () => keep('folders', encodeURIComponent(path), JSON.stringify(entries));
}

for (const name of ['fsync', 'fdatasync'] as const) {
  const flush = fs[name];
  const watched = (fd: number, callback: Callback): void => {
    const done = look(fd);
    flush(fd, (error) => {
      if (!error) done();
      callback(error);
    });
  };
  fs[name] = Object.assign(watched, { __promisify__: flush.__promisify__ });
}
for (const name of ['fsyncSync', 'fdatasyncSync'] as const) {
  const flush = fs[name];
  fs[name] = (fd) => {
    const done = look(fd);
    flush(fd);
    done();
  };
}
const handle = await fs.promises.open(disk);
const prototype = Object.getPrototypeOf(handle) as typeof handle;
await handle.close();
for (const name of ['sync', 'datasync'] as const) {
  const flush = prototype[name];
  prototype[name] = async function (this: typeof handle) {
    const done = look(this.fd);
    await flush.call(this);
    done();
  };
}
syncBuiltinESMExports();
