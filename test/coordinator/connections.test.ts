import { afterEach, describe, expect, it, vi } from 'vitest';
import { connect, endAll, join, serve } from './sockets.ts';
import { emptyRun, encodingOf, helloOf, progressAt, readyOf, readyWith, rowsOf, WANTS } from './support.ts';

afterEach(async () => {
  vi.useRealTimers();
  await endAll();
});

describe('before hello', () => {
  it('a frame of text ends the connection with 1003', async () => {
    const { server } = await serve(emptyRun(['a']));
    const client = await connect(server);
    client.send('{"type":"hello"}');
    expect(await client.closed).toEqual([1003, 'expected a binary frame, got text']);
  });

  it('a frame above 4 KiB ends the connection with 1009', async () => {
    const { server, events } = await serve(emptyRun(['a']));
    const client = await connect(server);
    client.send(new Uint8Array(4097));
    expect(await client.closed).toEqual([1009, 'frame: expected at most 4096 bytes, got 4097']);
    expect(events).toEqual(['malformed']);
  });

  it('another message ends the connection with 4007', async () => {
    const { server, events } = await serve(emptyRun(['a']));
    const client = await connect(server);
    client.send(readyWith());
    expect(await client.closed).toEqual([4007, 'expected hello as the first message']);
    await vi.waitUntil(() => events.length === 1);
    expect(events).toEqual(['refused']);
  });

  it('silence of two seconds ends the connection with 4007', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const { server } = await serve(emptyRun(['a']));
    const client = await connect(server);
    vi.advanceTimersByTime(1999);
    await client.settled();
    expect(client.socket.readyState).toBe(client.socket.OPEN);
    vi.advanceTimersByTime(1);
    expect(await client.closed).toEqual([4007, 'expected hello within 2000 ms']);
  });
});

describe('a hello', () => {
  it('without the token of the run is refused with 4001, however fast it comes', async () => {
    const { server, run, events } = await serve(emptyRun(['a']), { token: 'secret' });
    for (const headers of [{}, { authorization: 'Bearer guess' }, { authorization: 'secret' }]) {
      const client = await connect(server, { headers }, helloOf('a'));
      expect(await client.closed).toEqual([4001, 'expected a token of this run']);
    }
    await vi.waitUntil(() => events.length === 3);
    expect(new Set(events)).toEqual(new Set(['refused']));
    await join(server, 'a', { headers: { authorization: 'Bearer secret' } });
    expect(run.members.size).toBe(1);
  });

  it('without the subprotocol is refused with 4002', async () => {
    const { server, events } = await serve(emptyRun(['a']));
    const client = await connect(server, {}, helloOf('a'), []);
    expect(await client.closed).toEqual([4002, 'expected the subprotocol codistill.v1, got none']);
    await vi.waitUntil(() => events.length === 1);
    expect(events).toEqual(['refused']);
  });

  it('with the subprotocol of another version is told which one is spoken here', async () => {
    const { server } = await serve(emptyRun(['a']));
    const client = await connect(server, {}, undefined, ['codistill.v2', 'other']);
    expect(await client.closed).toEqual([4002, 'expected the subprotocol codistill.v1, got codistill.v2']);
  });

  it('of another version is refused with 4002, and both versions', async () => {
    const { server } = await serve(emptyRun(['a']));
    const client = await connect(server, {}, helloOf('a', { protocol: 2 as 1 }));
    expect(await client.closed).toEqual([4002, 'hello.protocol: expected version 1, got 2']);
  });

  it('with the name of another connection ends that one with 4004', async () => {
    const { server, run } = await serve(emptyRun(['a']));
    const older = await join(server, 'a');
    const newer = await join(server, 'a');
    expect(await older.closed).toEqual([4004, 'a newer connection took the name "a"']);
    await newer.settled();
    expect(newer.socket.readyState).toBe(newer.socket.OPEN);
    expect(run.members.get('a')!.connected).toBe(true);
  });
});

describe('after hello', () => {
  it('a frame that is no message ends the connection with 4007 and the field', async () => {
    const { server, events } = await serve(emptyRun(['a']));
    const client = await join(server, 'a');
    client.send(readyWith({ classes: 0 }));
    expect(await client.closed).toEqual([4007, 'ready.classes: expected an integer from 1 to 65536, got 0']);
    await vi.waitUntil(() => events.length === 3);
    expect(events).toEqual(['joined a', 'malformed a', 'left a']);
  });

  it('a ready with other data ends the connection with 4003, whatever comes after it', async () => {
    const { server, run } = await serve(emptyRun(['a', 'b']));
    const first = await join(server, 'a');
    first.send(readyWith());
    await first.settled();
    const second = await join(server, 'b');
    second.send(readyWith({ dataset: 'cd'.repeat(32) }));
    second.send(progressAt(1));
    const reason = 'dataset: expected abababababab (as a has), got cdcdcdcdcdcd';
    expect(await second.closed).toEqual([4003, reason]);
    expect([...run.members.keys()]).toEqual(['a']);
    await first.settled();
  });

  it('a frame larger than the tensors of the run ends the connection with 1009', async () => {
    const { server } = await serve(emptyRun(['a', 'b']));
    const client = await join(server, 'a');
    client.send(readyWith());
    client.send(new Uint8Array(2048 + 2 ** 20 + 1));
    expect(await client.closed).toEqual([1009, 'frame: expected at most 1050624 bytes, got 1050625']);
  });
});

describe('features of a teacher', () => {
  it('may take more than a batch of logits would', async () => {
    const { server } = await serve(emptyRun(['a', 't']));
    const encodings = [{ layer: 'stage1', encoder: 'map@1' }];
    const wants = { ...WANTS, logits: false, encodings };
    const ready = readyWith({ wants, layers: { stage1: [600_000] } });
    const [student, teacher] = [await join(server, 'a'), await join(server, 't')];
    student.send(ready);
    teacher.send(readyOf('t', ready));
    for (const client of [student, teacher]) expect(await client.next()).toMatchObject({ type: 'start' });
    student.send(rowsOf(0));
    const sent = encodingOf(Array<number>(600_000).fill(0.5), 'stage1', 'map@1');
    teacher.send(rowsOf(0, { encodings: [sent] }));
    expect(await student.next()).toMatchObject({ type: 'target', encodings: [{ shape: [1, 600_000] }] });
    expect(student.bytes.down).toBeGreaterThan(2 ** 21);
  });
});
