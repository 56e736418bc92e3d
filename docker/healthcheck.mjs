// Ends with 0 if the coordinator in this container answers. Set another port by CODISTILL_PORT, not by a flag: this
// program knows only the variable.
const url = `http://127.0.0.1:${process.env.CODISTILL_PORT || 7070}/healthz`;
try {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`expected status 200, got ${response.status}`);
} catch (error) {
  process.stderr.write(`${url}: ${error.message}\n`);
  process.exitCode = 1;
}
