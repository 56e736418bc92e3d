/**
 * A process whose connections are moved by the drill that started it: what a peer does is decided there, and the process
 * with its sockets is real, to be killed, stopped, or kept busy.
 */
import { type Link, type LinkOptions, openLink } from './link.ts';

export type PuppetCommand =
  | { readonly do: 'open'; readonly id: number; readonly url: string; readonly options: LinkOptions }
  | { readonly do: 'send'; readonly id: number; readonly data: Uint8Array | string }
  | { readonly do: 'raw'; readonly id: number; readonly data: Uint8Array; readonly times: number }
  | { readonly do: 'settle'; readonly id: number }
  | { readonly do: 'read'; readonly id: number; readonly on: boolean }
  | { readonly do: 'close'; readonly id: number; readonly code: number; readonly reason: string }
  | { readonly do: 'terminate'; readonly id: number }
  /** Computes for so long without a turn of the event loop. */
  | { readonly do: 'block'; readonly ms: number };

export type PuppetEvent =
  | { readonly did: 'start' }
  | { readonly did: 'open' | 'settle'; readonly id: number }
  | { readonly did: 'frame'; readonly id: number; readonly bytes: Uint8Array }
  | { readonly did: 'close'; readonly id: number; readonly code: number; readonly reason: string };

const links = new Map<number, Link>();
const tell = (event: PuppetEvent): void => void process.send?.(event);

function obey(command: PuppetCommand): void {
  if (command.do === 'block') {
    const until = performance.now() + command.ms;
    while (performance.now() < until);
    return;
  }
  const { id } = command;
  if (command.do === 'open') {
    const link = openLink(command.url, command.options, {
      opened: () => tell({ did: 'open', id }),
      frame: (bytes) => tell({ did: 'frame', id, bytes: new Uint8Array(bytes) }),
      closed: (code, reason) => tell({ did: 'close', id, code, reason }),
    });
    links.set(id, link);
    return;
  }
  const link = links.get(id)!;
  if (command.do === 'send') link.send(command.data);
  else if (command.do === 'raw')
    void link.raw(command.data, command.times).then(() => tell({ did: 'settle', id }));
  else if (command.do === 'settle') void link.settled().then(() => tell({ did: 'settle', id }));
  else if (command.do === 'read') link.read(command.on);
  else if (command.do === 'close') link.close(command.code, command.reason);
  else link.terminate();
}

process.on('message', (command) => obey(command as PuppetCommand));
process.on('disconnect', () => process.exit(0));
tell({ did: 'start' });
