/** A process that asks a coordinator whether it lives, again and again, and tells how long the slowest answer took. */
const [url] = process.argv.slice(2);
let slowest = 0;
let asked = 0;

process.on('message', () => process.send?.({ slowest, asked }, () => process.exit(0)));
process.on('disconnect', () => process.exit(0));

for (;;) {
  const startedAt = performance.now();
  await (await fetch(`${url}/healthz`)).arrayBuffer();
  slowest = Math.max(slowest, performance.now() - startedAt);
  asked += 1;
  if (asked === 1) process.send?.('ready');
}
