// Ends with 0 if the coordinator in this container answers. Set another port by CODISTILL_PORT, and TLS by
// CODISTILL_TLS_CERT, not by flags: this program knows only the variables.
import { get as getPlain } from 'node:http';
import { get as getSecure } from 'node:https';

const [scheme, get] = process.env.CODISTILL_TLS_CERT ? ['https', getSecure] : ['http', getPlain];
const url = `${scheme}://127.0.0.1:${process.env.CODISTILL_PORT || 7070}/healthz`;
try {
  // The certificate is of the name that peers use; whether it is good is theirs to find out.
  const options = { rejectUnauthorized: false, agent: false, timeout: 4_000 };
  const status = await new Promise((resolve, reject) => {
    const request = get(url, options, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    request.on('error', reject);
    request.on('timeout', () => request.destroy(new Error('no answer within 4 s')));
  });
  if (status !== 200) throw new Error(`expected status 200, got ${status}`);
} catch (error) {
  process.stderr.write(`${url}: ${error.message}\n`);
  process.exitCode = 1;
}
