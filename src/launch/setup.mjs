// Makes a fresh clone ready: installs what the lock file names, when it is missing or out of date, and compiles. Plain
// JavaScript without dependencies, because it runs before there are any; `npm start` and `npm test` begin with it.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const say = (text) => process.stderr.write(`codistill: ${text}\n`);

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  say(`expected Node 20.19 or later, got ${process.version}. Install a newer one from https://nodejs.org.`);
  process.exit(2);
}

function run(command, args) {
  // On Windows, npm is a script that only a shell can start.
  const shell = process.platform === 'win32';
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2], shell });
  if (error) say(`could not start ${command}: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}

/** The library behind tfjs-node-gpu is some 400 MB: fetched only where a GPU can use it, from a host that answers. */
async function gpuLibraryRefusal() {
  if (!existsSync('/proc/driver/nvidia/version') && !existsSync('/dev/dxg')) return 'no NVIDIA GPU is seen';
  const host = 'storage.googleapis.com';
  const answers = await new Promise((resolve) => {
    const socket = connect({ host, port: 443, timeout: 5_000 });
    const settle = (answer) => {
      socket.destroy();
      resolve(answer);
    };
    socket.on('connect', () => settle(true));
    socket.on('timeout', () => settle(false));
    socket.on('error', () => settle(false));
  });
  return answers ? null : `${host} does not answer`;
}

async function install() {
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  const mark = join(root, 'node_modules', '.codistill-installed');
  if (existsSync(mark) && readFileSync(mark, 'utf8') === lock) return;
  say('installing dependencies');
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
  const refusal = await gpuLibraryRefusal();
  if (refusal === null) {
    say('fetching the GPU library');
    run('npm', ['rebuild', '@tensorflow/tfjs-node-gpu', '--ignore-scripts=false', '--foreground-scripts']);
  } else {
    say(`GPU library left out: ${refusal} (codistill doctor tells how to add it later)`);
  }
  writeFileSync(mark, lock);
}

/** The newest change among the sources, in milliseconds. */
function newest(folder) {
  return readdirSync(folder, { withFileTypes: true }).reduce((latest, entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return Math.max(latest, newest(path), statSync(path).mtimeMs);
    return Math.max(latest, statSync(path).mtimeMs);
  }, 0);
}

/** @returns whether there was anything to do */
function compile() {
  const mark = join(root, 'dist', '.compiled');
  const sources = ['src', 'coordinator', 'peer', 'test'].map((name) => join(root, name)).filter(existsSync);
  const changed = Math.max(...sources.map(newest), statSync(join(root, 'tsconfig.json')).mtimeMs);
  if (existsSync(mark) && statSync(mark).mtimeMs >= changed) return false;
  say('compiling');
  run(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc')]);
  mkdirSync(dirname(mark), { recursive: true });
  writeFileSync(mark, '');
  return true;
}

/** Lets `npx codistill` find the command of this clone at once, as it finds those of installed packages. */
function link() {
  const main = join(root, 'dist', 'src', 'launch', 'main.js');
  const bin = join(root, 'node_modules', '.bin', 'codistill');
  chmodSync(main, 0o755);
  rmSync(bin, { force: true });
  if (process.platform === 'win32') writeFileSync(`${bin}.cmd`, `@node "${main}" %*\r\n`);
  else symlinkSync(main, bin);
}

await install();
if (compile()) link();
