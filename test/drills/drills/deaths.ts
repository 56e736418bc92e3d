import type { Drill } from '../drill.ts';
import { rssOf } from '../programs.ts';
import { until } from '../stage.ts';

/** Parts of the run of 3 in which the last peer's process is killed. */
export const killBeforeSending: Drill = {
  number: 1,
  title: 'kill -9 a peer mid-round, before it sends',
  promises: ['P2', 'P7'],
  criterion: 'the round goes on within 1 s, far before its deadline of 5 s',
  async run(stage) {
    const coordinator = await stage.coordinator({ maxWait: '5s', lease: '10s' });
    const [, , last] = coordinator.names;
    const puppet = await stage.puppet('puppet');
    const [a, b] = await stage.cast(coordinator, (name) => (name === last ? { open: puppet.open } : {}));
    const all = [a!.exchange(0), b!.exchange(0)];
    await Promise.all([a!.link.settled(), b!.link.settled()]);
    stage.fault('killed', last);
    const killedAt = performance.now();
    puppet.kill('SIGKILL');
    const answers = await Promise.all(all);
    const ms = performance.now() - killedAt;
    const taught = answers.every((answer) => answer.type === 'target' && answer.teachers === 1);
    await Promise.all([a!.play(1, 20), b!.play(1, 20)]);
    return { passed: taught && ms <= 1_000, measured: `answered ${Math.round(ms)} ms after the kill` };
  },
};

export const killAfterSending: Drill = {
  number: 2,
  title: 'kill -9 a peer after it sent, before the round closes',
  promises: ['P3', 'P5'],
  criterion: 'its contribution counts once or not at all, and the same for all',
  async run(stage) {
    const coordinator = await stage.coordinator({ peers: 4 });
    const last = coordinator.names.at(-1)!;
    const puppet = await stage.puppet('puppet');
    const peers = await stage.cast(coordinator, (name) => (name === last ? { open: puppet.open } : {}));
    const [a, b, c, killed] = peers;
    const early = [a!.exchange(0), b!.exchange(0)];
    killed!.contribute(0);
    await killed!.link.settled();
    stage.fault('killed', last);
    puppet.kill('SIGKILL');
    await coordinator.event('left', last);
    const answers = await Promise.all([...early, c!.exchange(0)]);
    const teachers = new Set(answers.map((answer) => (answer.type === 'target' ? answer.teachers : 0)));
    const [count] = teachers;
    return {
      passed: teachers.size === 1 && count! >= 2,
      measured: `${answers.length} of ${answers.length} targets of ${[...teachers].join(' and ')} teachers each`,
    };
  },
};

/** Peers that send all but the end of a frame, and the bytes of it that they send. */
const HALVES = 8;
const HALF_BYTES = 8 * 2 ** 20;
const SENT_MIB = (HALVES * HALF_BYTES) / 2 ** 20;

export const killInTheMiddle: Drill = {
  number: 3,
  title: 'kill -9 peers between the header of a frame and its end',
  promises: ['P1'],
  criterion: `what was read of it is freed: five times ${SENT_MIB} MiB add up to less than ${3 * SENT_MIB} MiB`,
  async run(stage) {
    const growth: number[] = [];
    const coordinator = await stage.coordinator({ peers: HALVES });
    const before = rssOf(coordinator.pid);
    for (let time = 1; time <= 5; time++) {
      const puppet = await stage.puppet(`puppet-${time}`);
      const peers = coordinator.names.map((name) => stage.scripted(name, coordinator, { open: puppet.open }));
      for (const peer of peers) {
        await peer.connect();
        await peer.link.raw(frameHeader(HALF_BYTES + 1));
        await peer.link.raw(new Uint8Array(2 ** 16), HALF_BYTES / 2 ** 16);
      }
      // The system has taken all of it, and the coordinator has had its turns to read.
      for (let turn = 0; turn < 5; turn++) await coordinator.probe();
      stage.fault('killed');
      puppet.kill('SIGKILL');
      await until(
        () => coordinator.events().filter(({ event }) => event === 'left').length === HALVES * time,
        'the end of their connections',
      );
      growth.push(rssOf(coordinator.pid) - before);
    }
    stage.bound('P1', 'memory after half frames', Math.max(...growth), 3 * SENT_MIB, 'MiB');
    stage.bound('P1', 'time to answer', await coordinator.probe(), 1_000, 'ms');
    return { passed: true, measured: `grown by ${growth.map((mib) => Math.round(mib)).join(', ')} MiB` };
  },
};

/** The header of a masked binary frame of a peer, with a mask of zeros. */
export function frameHeader(bytes: number, opcode = 2, fin = true): Uint8Array {
  const header = Buffer.alloc(14);
  header[0] = (fin ? 0x80 : 0) | opcode;
  header[1] = 0x80 | 127;
  header.writeBigUInt64BE(BigInt(bytes), 2);
  return new Uint8Array(header);
}

export const deaths: readonly Drill[] = [killBeforeSending, killAfterSending, killInTheMiddle];
