import type { IncomingMessage } from 'node:http';
import type { Token } from '../src/token.ts';
import { type Attempts, countFailure } from './attempts.ts';
import { tokenOf } from './tokens.ts';

/** Whether a request goes on, or what it is answered. */
export type Verdict =
  | { readonly admitted: true; readonly token: Token | null }
  | { readonly admitted: false; readonly status: 401 | 403 | 429 | 503; readonly reason: string };

export interface GateOptions {
  /** Those of the run, as they are now; `null` where anybody may come in who can reach the address. */
  readonly tokens: () => readonly Token[] | null;
  /** Whether only this machine reaches the address. */
  readonly loopback: boolean;
  readonly now: () => number;
}

/** Decides about every HTTP request and WebSocket upgrade before anything else looks at it. */
export interface Gate {
  page(request: IncomingMessage): Verdict;
  upgrade(request: IncomingMessage): Verdict;
}

/** They say nothing about the run: for load balancers and health checks, which have no token. */
const OPEN_PAGES = new Set(['/healthz', '/readyz']);
const LOOPBACK_NAME = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i;

/** Addresses that only this machine can reach. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '127.0.0.1';
}

export function createGate({ tokens, loopback, now }: GateOptions): Gate {
  const attempts: Attempts = new Map();

  /** A page of another site, whose name was made to point at this machine, sends that name. A token it has not. */
  const isRebound = ({ headers }: IncomingMessage): boolean =>
    loopback && tokens() === null && !LOOPBACK_NAME.test(headers.host ?? '');
  const rebound: Verdict = {
    admitted: false,
    status: 403,
    reason:
      'expected localhost or a loopback address as Host; for other names, give the run a token: --token-file',
  };

  const check = (request: IncomingMessage): Verdict => {
    const known = tokens();
    if (known === null) return { admitted: true, token: null };
    // Before the count of failures: a good token opens from every address, however many others fail there.
    const token = tokenOf(request.headers.authorization, known);
    if (token) return { admitted: true, token };
    if (!countFailure(attempts, request.socket.remoteAddress, now())) {
      return { admitted: false, status: 429, reason: 'too many attempts without a valid token' };
    }
    return { admitted: false, status: 401, reason: 'expected a token of this run' };
  };

  return {
    page(request) {
      if (isRebound(request)) return rebound;
      const [pathname] = request.url!.split('?');
      return OPEN_PAGES.has(pathname!) ? { admitted: true, token: null } : check(request);
    },
    upgrade(request) {
      if (isRebound(request)) return rebound;
      if (!isSameOrigin(request)) {
        return { admitted: false, status: 403, reason: 'expected no Origin, or that of this address' };
      }
      return check(request);
    },
  };
}

/** Browsers always say which site a WebSocket is opened by, and let every site open one; programs do not. */
function isSameOrigin({ headers: { origin, host } }: IncomingMessage): boolean {
  if (origin === undefined) return true;
  const own = URL.canParse(origin) ? new URL(origin) : null;
  const here = `${own?.protocol}//${host}`;
  return own !== null && own.host !== '' && URL.canParse(here) && own.host === new URL(here).host;
}
