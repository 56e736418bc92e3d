import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type RawData, WebSocket, WebSocketServer } from 'ws';
import { type CoordinatorMessage, type PeerMessage, SUBPROTOCOL } from '../../src/protocol/messages.ts';
import { decodeCoordinatorMessage, decodePeerMessage } from '../../src/protocol/wire.ts';
import { afterwards } from './support.ts';

/** Everything that one peer and the coordinator said to each other, in order. */
export interface Conversation {
  /** As the coordinator calls the peer. */
  name: string;
  readonly up: { readonly message: PeerMessage; readonly bytes: number }[];
  readonly down: { readonly message: CoordinatorMessage; readonly bytes: number }[];
}

/**
 * A relay between peers and a coordinator that passes every frame on as it is, and remembers what it was.
 *
 * @param target the coordinator's address, as peers take it
 */
export async function startWireRecorder(
  target: string,
): Promise<{ readonly url: string; readonly conversations: readonly Conversation[] }> {
  const conversations: Conversation[] = [];
  const server = new WebSocketServer({
    ...{ host: '127.0.0.1', port: 0, path: '/ws', perMessageDeflate: false },
    handleProtocols: () => SUBPROTOCOL,
  });
  await once(server, 'listening');
  server.on('connection', (peer) => {
    const conversation: Conversation = { name: '', up: [], down: [] };
    conversations.push(conversation);
    const coordinator = new WebSocket(`${target}/ws`, SUBPROTOCOL, { perMessageDeflate: false });
    const opened = once(coordinator, 'open');
    peer.on('message', async (data: RawData) => {
      const frame = data as Buffer;
      conversation.up.push({ message: decodePeerMessage(frame), bytes: frame.byteLength });
      await opened;
      coordinator.send(frame);
    });
    coordinator.on('message', (data: RawData) => {
      const frame = data as Buffer;
      const message = decodeCoordinatorMessage(frame);
      conversation.down.push({ message, bytes: frame.byteLength });
      if (message.type === 'welcome') conversation.name = message.name;
      peer.send(frame);
    });
    coordinator.on('ping', () => peer.ping());
    peer.on('close', () => coordinator.close());
    coordinator.on('close', () => peer.close());
  });
  afterwards(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  return { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`, conversations };
}
