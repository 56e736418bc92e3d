import type { Socket, SocketEvents } from '../../peer/socket.ts';
import { decodePeerMessage } from '../../src/protocol/wire.ts';
import type { Random } from '../../src/random.ts';
import type { World } from './world.ts';

/** The coordinator's end of a connection. */
export interface ServerConnection {
  readonly id: number;
  send(frame: Uint8Array): void;
  ping(): void;
  close(code: number, reason: string): void;
  terminate(): void;
}

/** What a coordinator that listens is told. */
export interface Listener {
  opened(connection: ServerConnection): void;
  frame(id: number, bytes: Uint8Array): void;
  /** The answer to a ping. */
  pong(id: number): void;
  closed(id: number, reason: string): void;
}

/**
 * A network of TCP connections: what is sent on one arrives in its order, late, or not at all when the connection breaks.
 * While a peer is blocked, nothing that it sends or is sent arrives; what the ends do not give up comes afterwards, as
 * TCP repeats it.
 */
export interface Network {
  listen(listener: Listener | null): void;
  connect(peer: string, events: SocketEvents): Socket;
  /** Breaks the connections of a peer, from without. */
  cut(peer: string): void;
  /** Ends the connections of a peer whose process is gone. */
  abandon(peer: string): void;
  block(peer: string, untilMs: number): void;
  /** The next `logits` that a peer sends arrive twice. */
  duplicateNext(peer: string): void;
}

/** How long an attempt to connect takes that nobody answers. */
const HANDSHAKE_MS = 10_000;

interface Connection {
  readonly peer: string;
  open: boolean;
  /** Each end's view: gone for it, and told so. */
  readonly gone: { peer: boolean; server: boolean };
  readonly lastMs: { up: number; down: number };
  tellPeer(code: number, reason: string): void;
  tellServer(reason: string): void;
}

export function createNetwork(world: World, random: Random): Network {
  const connections = new Set<Connection>();
  const blockedUntilMs = new Map<string, number>();
  const duplicated = new Set<string>();
  let listener: Listener | null = null;
  let nextId = 1;

  const delayMs = (): number => 1 + random.below(20) + (random.below(50) === 0 ? random.below(300) : 0);
  /** When something that is sent now arrives: in order, and not while the peer is blocked. */
  const arrival = (connection: Connection, way: 'up' | 'down'): number => {
    const free = Math.max(world.now(), blockedUntilMs.get(connection.peer) ?? 0);
    connection.lastMs[way] = Math.max(connection.lastMs[way], free + delayMs());
    return connection.lastMs[way] - world.now();
  };
  const carry = (connection: Connection, way: 'up' | 'down', deliver: () => void): void => {
    world.after(arrival(connection, way), () => {
      const end = way === 'up' ? 'server' : 'peer';
      if (!connection.gone[end]) deliver();
    });
  };
  /** One end goes; the other hears of it when the news arrive. */
  const end = (connection: Connection, by: 'peer' | 'server', code: number, reason: string): void => {
    if (connection.gone[by]) return;
    connection.gone[by] = true;
    connection.open = false;
    if (by === 'peer') carry(connection, 'up', () => loseServer(connection, reason));
    else carry(connection, 'down', () => losePeer(connection, code, reason));
    if (by === 'peer') connection.tellPeer(code, reason);
    else connection.tellServer(reason);
    if (connection.gone.peer && connection.gone.server) connections.delete(connection);
  };
  const loseServer = (connection: Connection, reason: string): void => {
    connection.gone.server = true;
    connections.delete(connection);
    connection.tellServer(reason);
  };
  const losePeer = (connection: Connection, code: number, reason: string): void => {
    connection.gone.peer = true;
    connections.delete(connection);
    connection.tellPeer(code, reason);
  };

  return {
    listen(next) {
      listener = next;
      if (next !== null) return;
      // The operating system closes what a dead process had open.
      for (const connection of [...connections]) end(connection, 'server', 1006, 'connection reset');
    },
    connect(peer, events) {
      const id = nextId;
      nextId += 1;
      let server: Listener | null = null;
      const connection: Connection = {
        ...{ peer, open: false, gone: { peer: false, server: false }, lastMs: { up: 0, down: 0 } },
        tellPeer: (code, reason) => events.closed(code, reason, code === 1006 ? new Error(reason) : null),
        tellServer: (reason) => server?.closed(id, reason),
      };
      const serverEnd: ServerConnection = {
        id,
        send: (frame) => carry(connection, 'down', () => events.frame(frame)),
        ping: () =>
          carry(connection, 'down', () => {
            events.ping();
            carry(connection, 'up', () => server?.pong(id));
          }),
        close: (code, reason) => end(connection, 'server', code, reason),
        terminate: () => end(connection, 'server', 1006, 'terminated'),
      };
      const reach = arrival(connection, 'up');
      if (reach > HANDSHAKE_MS) {
        world.after(HANDSHAKE_MS, () => losePeer(connection, 1006, 'the handshake has timed out'));
      } else {
        world.after(reach, () => {
          if (connection.gone.peer) return;
          if (!listener) {
            losePeer(connection, 1006, 'connection refused');
            return;
          }
          server = listener;
          connection.open = true;
          connections.add(connection);
          server.opened(serverEnd);
          carry(connection, 'down', () => events.opened());
        });
      }
      return {
        send(frame) {
          const isLogits = duplicated.has(peer) && decodePeerMessage(frame).type === 'logits';
          const copies = isLogits && duplicated.delete(peer) ? 2 : 1;
          for (let i = 0; i < copies; i++) carry(connection, 'up', () => server?.frame(id, frame));
        },
        close: (code, reason) => end(connection, 'peer', code, reason),
        terminate: () => end(connection, 'peer', 1006, 'terminated'),
      };
    },
    cut(peer) {
      for (const connection of [...connections]) {
        if (connection.peer !== peer) continue;
        end(connection, 'server', 1006, 'connection reset');
      }
    },
    abandon(peer) {
      for (const connection of [...connections]) {
        if (connection.peer === peer) end(connection, 'peer', 1006, 'connection reset');
      }
    },
    block(peer, untilMs) {
      blockedUntilMs.set(peer, Math.max(untilMs, blockedUntilMs.get(peer) ?? 0));
    },
    duplicateNext: (peer) => void duplicated.add(peer),
  };
}
