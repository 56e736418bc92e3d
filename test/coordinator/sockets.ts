import { on, once } from 'node:events';
import { type ClientOptions, WebSocket } from 'ws';
import type { Run } from '../../coordinator/runState.ts';
import { type Server, startServer } from '../../coordinator/server.ts';
import type { ServerTls } from '../../coordinator/tls.ts';
import { createLogger } from '../../src/logger.ts';
import { type CoordinatorMessage, type PeerMessage, SUBPROTOCOL } from '../../src/protocol/messages.ts';
import { decodeCoordinatorMessage, encodeMessage } from '../../src/protocol/wire.ts';
import type { Untimed } from '../../src/results/recorder.ts';
import type { EventRecord } from '../../src/results/types.ts';
import type { Token } from '../../src/token.ts';
import { helloOf } from './support.ts';

/** A coordinator on a free port of this machine, and what it has recorded so far. */
export interface Served {
  readonly server: Server;
  readonly run: Run;
  readonly events: string[];
  /** The same with all that is recorded of them. */
  readonly records: Untimed<EventRecord>[];
}

/** What is open; the tests end it. */
const open: { readonly servers: Server[]; readonly clients: Client[] } = { servers: [], clients: [] };

export async function serve(
  run: Run,
  {
    token,
    tokens,
    tls,
    save,
    onEvent,
    ...limits
  }: {
    readonly token?: string;
    readonly tokens?: readonly Token[];
    readonly tls?: ServerTls;
    readonly save?: () => Promise<void>;
    readonly onEvent?: (record: object) => void;
    readonly maxPeers?: number;
    readonly maxMemoryBytes?: number;
  } = {},
): Promise<Served> {
  const events: string[] = [];
  const records: Untimed<EventRecord>[] = [];
  const server = await startServer({
    run,
    host: '127.0.0.1',
    port: 0,
    tokens: tokens ?? (token === undefined ? null : [{ name: 'token', secret: token }]),
    tls: tls ?? null,
    ...limits,
    recorder: {
      event: (record) => {
        records.push(record);
        events.push(`${record.event} ${record.peer ?? ''}`.trim());
        onEvent?.(record);
      },
      metrics: () => {},
      close: save ?? (async () => {}),
    },
    summaryFile: (summary) => summary,
    logger: createLogger('test', 'silent'),
  });
  open.servers.push(server);
  return { server, run, events, records };
}

/** A peer's end of a connection, which does nothing by itself. */
export interface Client {
  readonly socket: WebSocket;
  /** Bytes of the frames that were sent, and that were read. */
  readonly bytes: { up: number; down: number };
  /** Sends a message, or a frame as it is. */
  send(message: PeerMessage | string | Uint8Array): void;
  /** The next message of the coordinator. */
  next(): Promise<CoordinatorMessage>;
  /** Resolves when the coordinator has seen to everything that was sent. */
  settled(): Promise<void>;
  /** Code and reason of the end. */
  readonly closed: Promise<readonly [number, string]>;
}

/** @param greeting sent the moment that the connection is open, before anything that the coordinator says is read */
export async function connect(
  { url }: Server,
  options: ClientOptions = {},
  greeting?: PeerMessage,
  protocols: readonly string[] = [SUBPROTOCOL],
): Promise<Client> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`, [...protocols], options);
  const messages = on(socket, 'message');
  const client: Client = {
    socket,
    bytes: { up: 0, down: 0 },
    send(message) {
      const frame =
        typeof message === 'string' || message instanceof Uint8Array ? message : encodeMessage(message);
      socket.send(frame);
      client.bytes.up += frame.length;
    },
    async next() {
      const [frame] = (await messages.next()).value;
      client.bytes.down += frame.length;
      return decodeCoordinatorMessage(frame);
    },
    async settled() {
      const pong = once(socket, 'pong');
      socket.ping();
      await pong;
    },
    closed: once(socket, 'close').then(([code, reason]) => [code, String(reason)] as const),
  };
  // A test that expects a connection to fail does not look at its end.
  client.closed.catch(() => {});
  open.clients.push(client);
  if (greeting) socket.once('open', () => client.send(greeting));
  await once(socket, 'open');
  return client;
}

/** A client whose `hello` was accepted. */
export async function join(server: Server, name: string, options: ClientOptions = {}): Promise<Client> {
  const client = await connect(server, options, helloOf(name));
  await client.next();
  return client;
}

/** Ends every connection and server that a test has opened. */
export async function endAll(): Promise<void> {
  for (const { socket } of open.clients.splice(0)) socket.terminate();
  await Promise.all(open.servers.splice(0).map((server) => server.close()));
}
