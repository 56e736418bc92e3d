import { Writable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { createProgress } from '../../src/launch/progress.ts';
import { backendLines, formatBar, formatHeading, formatLine } from '../../src/launch/progressText.ts';
import { peerAt, statusOf } from './status.ts';

/** A stream that keeps what was written, and a clock that is moved by hand, in seconds. */
function recorder(isTTY: boolean) {
  const written: string[] = [];
  const write = (chunk: Buffer, _: unknown, done: () => void): void => {
    written.push(chunk.toString());
    done();
  };
  const stream = Object.assign(new Writable({ write }), { isTTY, columns: 120 });
  const clock = { seconds: 0 };
  const progress = createProgress(stream, { tty: isTTY, now: () => clock.seconds * 1000 });
  return { progress, clock, text: () => written.splice(0).join('') };
}

const part = { number: 1, of: 2 };

describe('progress on a terminal', () => {
  test('draws the phase and a bar for every peer over what was there', () => {
    const { progress, clock, text } = recorder(true);
    progress.show(statusOf([peerAt(0), peerAt(0, { name: 'peer-2' })]), part);
    expect(text()).toContain('1/2 dml: co-distilling');
    clock.seconds = 10;
    progress.show(
      statusOf([peerAt(100), peerAt(50, { name: 'peer-2' })], { rounds: { committed: 50, missed: 2 } }),
      part,
    );
    progress.stop();
    const drawn = text();
    expect(drawn).toContain('\u001b[2A');
    expect(drawn).toContain('peer-1 cnn-s ██░░░░░░░░░░░░░░ 100/775 loss 1.23');
    // The slowest peer: 725 steps at 5 a second.
    expect(drawn).toContain('50 rounds, 2 targets missed, about 2 min 25 s left');
  });

  test('gives the cursor back when it stops', () => {
    const { progress, text } = recorder(true);
    progress.show(statusOf([peerAt(0)]), part);
    expect(text()).toContain('\u001b[?25l');
    progress.stop();
    expect(text()).toContain('\u001b[?25h');
  });

  test('leaves the bars of a part that is over, and starts new ones below', () => {
    const { progress, text } = recorder(true);
    progress.show(statusOf([peerAt(775, { state: 'done' })]), part);
    text();
    progress.show(statusOf([peerAt(0)], { method: 'independent' }), { number: 2, of: 2 });
    progress.stop();
    const drawn = text();
    expect(drawn.indexOf('775/775')).toBeLessThan(drawn.indexOf('2/2 independent: each peer trains alone'));
  });
});

describe('progress that is not on a terminal', () => {
  test('prints changes of phase and evaluations at once, and the peers every 5 seconds', () => {
    const { progress, clock, text } = recorder(false);
    const waitingFor = 'waiting for peer-2 to join';
    progress.show(statusOf([peerAt(0)], { phase: 'waiting', waitingFor }), part);
    expect(text()).toBe('1/2 dml: waiting for peer-2 to join\n');
    progress.show(statusOf([peerAt(0)]), part);
    expect(text()).toBe('1/2 dml: co-distilling\n');
    clock.seconds = 4.9;
    progress.show(
      statusOf([peerAt(45, { testAccuracy: 0.5 })], { rounds: { committed: 45, missed: 0 } }),
      part,
    );
    expect(text()).toBe('peer-1 (cnn-s) evaluated by step 45/775: test accuracy 50.0 %\n');
    clock.seconds = 5;
    progress.show(statusOf([peerAt(50, { testAccuracy: 0.5 })]), part);
    expect(text()).toBe(
      'peer-1 (cnn-s) step 50/775, loss 1.234, test 50.0 %, 812 img/s, waiting 3.1 %, about 1 min 13 s left\n',
    );
    clock.seconds = 9.9;
    progress.show(statusOf([peerAt(99, { testAccuracy: 0.5 })]), part);
    expect(text()).toBe('');
  });

  test('tells of a wait in training when it has lasted, and every 5 seconds, not at every look', () => {
    const { progress, clock, text } = recorder(false);
    const look = (seconds: number, waitingFor: string | null): string => {
      clock.seconds = seconds;
      progress.show(statusOf([peerAt(0, { state: 'done' })], { waitingFor }), part);
      return text();
    };
    expect(look(0, null)).toBe('1/2 dml: co-distilling\n');
    expect(look(4, 'round 7 has waited 1.0 s for peer-2')).toBe('');
    expect(look(5, 'round 7 has waited 2.0 s for peer-2')).toBe(
      '1/2 dml: round 7 has waited 2.0 s for peer-2\n',
    );
    expect(look(9, 'round 7 has waited 6.0 s for peer-2')).toBe('');
    expect(look(10, null)).toBe('1/2 dml: co-distilling\n');
  });

  test('writes no control characters', () => {
    const { progress, clock, text } = recorder(false);
    for (const step of [0, 100, 200]) {
      progress.show(statusOf([peerAt(step)]), part);
      clock.seconds += 6;
    }
    progress.stop();
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    expect(text()).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/);
  });

  test('measures the time left from the first step, not from the start of the program', () => {
    const { progress, clock, text } = recorder(false);
    progress.show(statusOf([peerAt(0)]), part);
    clock.seconds = 60;
    progress.show(statusOf([peerAt(0)]), part);
    clock.seconds = 70;
    text();
    progress.show(statusOf([peerAt(100)]), part);
    expect(text()).toContain('about 1 min 8 s left');
  });
});

describe('what the peers compute with', () => {
  const refused = [
    { backend: 'tfjs-node-gpu', reason: "NVIDIA's driver is not loaded here" },
    { backend: 'webgpu', reason: 'the only adapter is software (llvmpipe)' },
  ];
  const onWasm = { backend: 'wasm', device: 'wasm SIMD, 1 thread', refusedBackends: refused };
  const WASM_LINE =
    "wasm (wasm SIMD, 1 thread); not tfjs-node-gpu: NVIDIA's driver is not loaded here; not webgpu: the only adapter is software (llvmpipe)";
  const onCard = (card: number) => ({
    backend: 'tfjs-node-gpu',
    device: `NVIDIA L4 ${card}`,
    refusedBackends: [],
  });

  test('is one line for all that have the same, in the order of the peers', () => {
    const peers = [
      peerAt(0, { name: 'a', ...onWasm }),
      peerAt(0, { name: 'b', ...onCard(0) }),
      peerAt(0, { name: 'c', ...onWasm }),
      peerAt(0, { name: 'd', ...onCard(1) }),
    ];
    expect(backendLines(statusOf(peers))).toEqual([
      `a, c: ${WASM_LINE}`,
      'b: tfjs-node-gpu (NVIDIA L4 0)',
      'd: tfjs-node-gpu (NVIDIA L4 1)',
    ]);
  });

  test('keeps peers apart that have the same backend for other reasons', () => {
    const peers = [
      peerAt(0, { name: 'a', ...onWasm }),
      peerAt(0, { name: 'b', ...onWasm, refusedBackends: [] }),
    ];
    expect(backendLines(statusOf(peers))).toEqual([`a: ${WASM_LINE}`, 'b: wasm (wasm SIMD, 1 thread)']);
  });

  test('is not told while peers are still to come, nor of one that does not know yet', () => {
    const known = peerAt(0, { name: 'a', ...onWasm });
    expect(backendLines(statusOf([known], { phase: 'waiting' }))).toEqual([]);
    expect(backendLines(statusOf([known, peerAt(0, { name: 'b' })]))).toEqual([`a: ${WASM_LINE}`]);
  });

  test.each([true, false])('is told once, above the progress; on a terminal: %s', (terminal) => {
    const { progress, clock, text } = recorder(terminal);
    const times = (drawn: string, line: string): number => drawn.split(line).length - 1;
    const peers = (step: number) => [
      peerAt(step, { name: 'a', ...onWasm }),
      peerAt(step, { name: 'b', ...onCard(0) }),
    ];
    progress.show(statusOf(peers(0), { phase: 'waiting', waitingFor: 'waiting for b' }), part);
    expect(text()).not.toContain('wasm SIMD');
    progress.show(statusOf(peers(0)), part);
    clock.seconds = 6;
    progress.show(statusOf(peers(50)), part);
    // The comparison has the same peers on the same devices.
    progress.show(statusOf(peers(0), { method: 'independent' }), { number: 2, of: 2 });
    clock.seconds = 12;
    const moved = [peerAt(50, { name: 'a', ...onCard(3) }), peerAt(50, { name: 'b', ...onCard(0) })];
    progress.show(statusOf(moved, { method: 'independent' }), { number: 2, of: 2 });
    progress.stop();
    const drawn = text();
    expect(times(drawn, `a: ${WASM_LINE}`)).toBe(1);
    expect(times(drawn, 'b: tfjs-node-gpu (NVIDIA L4 0)')).toBe(1);
    expect(times(drawn, 'a: tfjs-node-gpu (NVIDIA L4 3)')).toBe(1);
    expect(drawn.indexOf(`a: ${WASM_LINE}`)).toBeLessThan(drawn.indexOf('50/775'));
  });
});

test('a heading names what the run waits for instead of its phase', () => {
  const status = statusOf([], { phase: 'waiting', waitingFor: 'peer-2 has 8 s to come back' });
  expect(formatHeading(status, part, null)).toBe('1/2 dml: peer-2 has 8 s to come back');
});

test('a peer that is lost, disconnected or collapsed says so, and what is unknown is a dash', () => {
  expect(formatLine(peerAt(5, { state: 'lost' }), null)).toContain('LOST');
  expect(formatLine(peerAt(5, { connected: false }), null)).toContain('disconnected');
  expect(formatLine(peerAt(5, { collapsed: 'loss 2.3' }), null)).toContain('COLLAPSED');
  const quarantined = 'constant: the same for all';
  expect(formatLine(peerAt(5, { quarantined }), null)).toContain('QUARANTINED');
  const teacher = formatLine(peerAt(5, { role: 'teacher', quarantined }), null);
  expect(teacher).toContain('QUARANTINED');
  expect(teacher).not.toContain('teaching');
  expect(formatLine(peerAt(0, { loss: null }), null)).toContain('loss –, test –');
});

test('bars of peers with names of different length line up, and a finished one is full', () => {
  const peers = [peerAt(775), peerAt(9, { name: 'a-much-longer-name', model: 'wrn-16-2' })];
  const [first, second] = peers.map((peer) => formatBar(peer, peers, null));
  expect(first).toContain('█'.repeat(16));
  expect(first!.indexOf('loss')).toBe(second!.indexOf('loss'));
});
