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

/** @returns whether it could be done; why not is on stderr */
function tryTo(command, args, limitMs) {
  // On Windows, npm is a script that only a shell can start.
  const shell = process.platform === 'win32';
  const options = { cwd: root, stdio: ['ignore', 2, 2], shell, timeout: limitMs, killSignal: 'SIGKILL' };
  const { status, error } = spawnSync(command, args, options);
  if (error) say(`${command}: ${error.message}`);
  return status === 0;
}

function run(command, args) {
  if (!tryTo(command, args)) process.exit(1);
}

/** The package's own installer waits for ever when its host falls silent. */
const DOWNLOAD_LIMIT_MS = 20 * 60_000;

const seesNvidia = () => existsSync('/proc/driver/nvidia/version') || existsSync('/dev/dxg');

/** Other systems than Linux nearly always have a GPU that WebGPU can use. */
function seesGpu() {
  if (process.platform !== 'linux' || seesNvidia()) return true;
  return existsSync('/dev/dri') && readdirSync('/dev/dri').some((name) => name.startsWith('renderD'));
}

function answers(host) {
  return new Promise((resolve) => {
    const socket = connect({ host, port: 443, timeout: 5_000 });
    const settle = (answer) => {
      socket.destroy();
      resolve(answer);
    };
    socket.on('connect', () => settle(true));
    socket.on('timeout', () => settle(false));
    socket.on('error', () => settle(false));
  });
}

/** The packages for GPUs are 50 and 400 MB: fetched only where a GPU can use them. Without them, everything works. */
async function installForGpu() {
  const leaveOut = (what, reason) =>
    say(`${what} left out: ${reason} (codistill doctor tells how to add it later)`);
  if (!seesGpu()) {
    leaveOut('GPU packages', 'no GPU is seen');
    return;
  }
  const { config } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  say('fetching WebGPU');
  const quietly = ['--no-audit', '--no-fund', '--loglevel=error'];
  if (!tryTo('npm', ['install', '--no-save', ...quietly, `webgpu@${config.webgpu}`], DOWNLOAD_LIMIT_MS)) {
    leaveOut('WebGPU', 'npm could not fetch it');
  }
  if (!seesNvidia()) return;
  const host = 'storage.googleapis.com';
  if (!(await answers(host))) {
    leaveOut('GPU library of TensorFlow', `${host} does not answer`);
    return;
  }
  say('fetching the GPU library of TensorFlow');
  const stock = ['rebuild', '@tensorflow/tfjs-node-gpu', '--ignore-scripts=false', '--foreground-scripts'];
  if (!tryTo('npm', stock, DOWNLOAD_LIMIT_MS)) leaveOut('GPU library of TensorFlow', 'its installer failed');
}

async function install() {
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  const mark = join(root, 'node_modules', '.codistill-installed');
  if (existsSync(mark) && readFileSync(mark, 'utf8') === lock) return;
  say('installing dependencies');
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
  await installForGpu();
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
