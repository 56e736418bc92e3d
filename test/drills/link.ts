import type { Socket } from 'node:net';
import { WebSocket } from 'ws';
import { SUBPROTOCOL } from '../../src/protocol/messages.ts';

/** How a link is opened; by default as a peer does it. */
export interface LinkOptions {
  readonly protocol?: string;
  readonly token?: string;
}

export interface LinkEvents {
  opened(): void;
  frame(bytes: Uint8Array): void;
  /** Always the last one. */
  closed(code: number, reason: string): void;
}

/** A peer's end of a WebSocket, with all that an honest peer never does to it. */
export interface Link {
  send(data: Uint8Array | string): void;
  /** Bytes as they are, so many times, past the framing of WebSockets. Resolves when the system has taken them. */
  raw(bytes: Uint8Array, times?: number): Promise<void>;
  /** Resolves when the coordinator has seen to all that was sent: its pong comes after it. */
  settled(): Promise<void>;
  /** Stops reading the socket, or goes on. */
  read(on: boolean): void;
  close(code: number, reason: string): void;
  /** Ends the connection without a closing handshake. */
  terminate(): void;
}

export type OpenLink = (url: string, options: LinkOptions, events: LinkEvents) => Link;

/** Opens a link in this process. */
export const openLink: OpenLink = (url, options, events) => {
  const webSocket = new WebSocket(`${url}/ws`, options.protocol ?? SUBPROTOCOL, {
    perMessageDeflate: false,
    ...(options.token !== undefined && { headers: { authorization: `Bearer ${options.token}` } }),
  });
  let socket: Socket | undefined;
  let settling: (() => void)[] = [];
  let error = '';
  const settle = (): void => {
    for (const resolve of settling) resolve();
    settling = [];
  };
  webSocket.on('upgrade', (response) => {
    socket = response.socket;
  });
  webSocket.on('open', () => events.opened());
  webSocket.on('message', (data) => events.frame(data as Buffer));
  webSocket.on('pong', settle);
  webSocket.on('error', ({ message }) => {
    error = message;
  });
  webSocket.on('close', (code, reason) => {
    settle();
    events.closed(code, reason.toString() || error);
  });
  return {
    // One that is closed already may be spoken to: nobody hears it, as on any network.
    send: (data) => webSocket.send(data, () => {}),
    raw: (bytes, times = 1) =>
      new Promise((resolve) => {
        if (!socket || socket.destroyed) resolve();
        else
          for (let left = times; left > 0; left--)
            socket.write(bytes, left === 1 ? () => resolve() : undefined);
      }),
    settled: () =>
      new Promise((resolve) => {
        if (webSocket.readyState !== webSocket.OPEN) {
          resolve();
          return;
        }
        settling.push(resolve);
        webSocket.ping();
      }),
    read: (on) => (on ? webSocket.resume() : webSocket.pause()),
    close: (code, reason) => webSocket.close(code, reason),
    terminate: () => webSocket.terminate(),
  };
};
