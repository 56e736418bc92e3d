import { afterEach, describe, expect, it, vi } from 'vitest';
import { connect, endAll, join, serve } from './sockets.ts';
import { doneAt, emptyRun, logitsOf, progressAt, readyWith } from './support.ts';

afterEach(endAll);

const get = async (
  url: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; type: string | null; text: string }> => {
  const response = await fetch(url, { headers });
  const type = response.headers.get('content-type');
  return { status: response.status, type, text: await response.text() };
};

/** The samples of a page of metrics: name with labels, and value. @throws when a line is not of that format */
function samplesOf(text: string): Map<string, number> {
  const samples = new Map<string, number>();
  const told = { help: new Set<string>(), type: new Set<string>() };
  for (const line of text.split('\n').filter((each) => each !== '')) {
    const comment = /^# (HELP|TYPE) (codistill_[a-z_]+) (.+)$/.exec(line);
    if (comment) {
      told[comment[1] === 'HELP' ? 'help' : 'type'].add(comment[2]!);
      continue;
    }
    const sample = /^((codistill_[a-z_]+)(?:\{(?:[a-z]+="[^"\\\n]*",?)+\})?) (\S+)$/.exec(line);
    if (!sample || !told.help.has(sample[2]!) || !told.type.has(sample[2]!)) throw new Error(line);
    expect(samples.has(sample[1]!), `${sample[1]} is there twice`).toBe(false);
    samples.set(sample[1]!, Number(sample[3]));
  }
  return samples;
}

describe('/metrics', () => {
  it('tells Prometheus what goes on, in its own format', async () => {
    const { server, run } = await serve(emptyRun(['a', 'b']), { token: 'secret' });
    const headers = { authorization: 'Bearer secret' };
    expect((await (await connect(server)).closed)[0]).toBe(4001);
    const [a, b] = [await join(server, 'a', { headers }), await join(server, 'b', { headers })];
    for (const client of [a, b]) client.send(readyWith());
    for (const client of [a, b]) await client.next();
    for (const client of [a, b]) client.send(logitsOf(0));
    for (const client of [a, b]) await client.next();
    a.send(logitsOf(0));
    a.send(progressAt(7));
    a.send(logitsOf(1));
    await a.settled();
    b.send('text');
    await b.closed;
    await vi.waitUntil(() => !run.members.get('b')!.connected);

    expect(await get(`${server.url}/metrics`)).toMatchObject({ status: 401 });
    const { status, type, text } = await get(`${server.url}/metrics`, headers);
    expect([status, type]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8']);
    const samples = samplesOf(text);
    expect(Object.fromEntries(samples)).toMatchObject({
      'codistill_phase{phase="training"}': 1,
      'codistill_phase{phase="waiting"}': 0,
      codistill_rounds_committed_total: 1,
      'codistill_targets_missed_total{reason="late"}': 0,
      'codistill_targets_missed_total{reason="noTeachers"}': 1,
      codistill_rounds_open: 0,
      'codistill_peers{state="training"}': 2,
      'codistill_peers{state="done"}': 0,
      'codistill_peer_step{peer="a"}': 7,
      'codistill_connections{kind="peer"}': 1,
      'codistill_connections{kind="stranger"}': 0,
      'codistill_handshakes_refused_total{code="4001"}': 1,
      'codistill_connections_closed_total{code="1003"}': 1,
      'codistill_peer_received_bytes_total{peer="a"}': a.bytes.up,
      'codistill_peer_queue_bytes{peer="a"}': 0,
      codistill_frames_received_total: 10,
      codistill_frames_accepted_total: 9,
      'codistill_frames_refused_total{reason="textFrame"}': 1,
      codistill_contributions_received_total: 4,
      codistill_contributions_committed_total: 3,
      'codistill_contributions_unused_total{reason="recalled"}': 1,
      'codistill_answers_total{kind="target"}': 3,
      'codistill_answers_total{kind="noTarget"}': 1,
      codistill_targets_replaced_total: 0,
      codistill_held_bytes: 0,
    });
    for (const name of ['uptime_seconds', 'memory_bytes{kind="resident"}', 'memory_bytes{kind="heap"}'])
      expect(samples.get(`codistill_${name}`), name).toBeGreaterThan(0);
    for (const quantile of ['0.5', '0.99', '1'])
      expect(samples.get(`codistill_event_loop_delay_seconds{quantile="${quantile}"}`)).toBeLessThan(10);
  });

  it('tells for whom the run waits, by kind', async () => {
    const { server } = await serve(emptyRun(['a', 'b']));
    await join(server, 'a');
    const waits = [...samplesOf((await get(`${server.url}/metrics`)).text)].filter(([name]) =>
      name.startsWith('codistill_wait_seconds'),
    );
    expect(waits.map(([name]) => name)).toEqual(['codistill_wait_seconds{kind="join",peer="b"}']);
    expect(waits[0]![1]).toBeGreaterThan(0);
  });

  it('never grows with what peers make up', async () => {
    const { server } = await serve(emptyRun(['a']));
    for (const code of [3000, 3001, 4999]) {
      const client = await connect(server);
      client.socket.close(code);
      await client.closed;
    }
    const refused = async (): Promise<(string | number)[][]> =>
      [...samplesOf((await get(`${server.url}/metrics`)).text)].filter(([name]) =>
        name.startsWith('codistill_handshakes_refused'),
      );
    await vi.waitUntil(async () => (await refused())[0]?.[1] === 3);
    expect(await refused()).toEqual([['codistill_handshakes_refused_total{code="other"}', 3]]);
  });
});

describe('/readyz', () => {
  it('is 200 while peers may join or train, and 503 with a reason after that; /healthz stays 200', async () => {
    let saved!: () => void;
    const saving = new Promise<void>((resolve) => {
      saved = resolve;
    });
    const { server } = await serve(emptyRun(['a']), { save: () => saving });
    const ask = async (page: string) => {
      const { status, text } = await get(`${server.url}${page}`);
      return [status, JSON.parse(text)];
    };
    expect(await ask('/readyz')).toEqual([200, { ready: true, reason: null }]);
    const a = await join(server, 'a');
    a.send(readyWith());
    await a.next();
    expect(await ask('/readyz')).toEqual([200, { ready: true, reason: null }]);
    a.send(doneAt(1));
    await a.settled();
    expect(await ask('/readyz')).toEqual([503, { ready: false, reason: 'the run is over' }]);
    expect(await ask('/healthz')).toEqual([200, { ok: true }]);
    saved();
    await server.finished;
  });

  it('is 503 while a run is being stopped', async () => {
    const { server } = await serve(emptyRun(['a']));
    await join(server, 'a');
    server.interrupt();
    const { status, text } = await get(`${server.url}/readyz`);
    expect([status, JSON.parse(text)]).toEqual([503, { ready: false, reason: 'the run is being stopped' }]);
    await server.finished;
  });
});
