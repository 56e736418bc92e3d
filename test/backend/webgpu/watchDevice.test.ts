import { describe, expect, it } from 'vitest';
import { type WatchedDevice, watchDevice } from '../../../src/backend/webgpu/watchDevice.ts';

/** A device that is lost when `lose` is called, and what was said when the process was to end. */
function watched() {
  let lose!: (info: { message: string; reason: string }) => void;
  const device: WatchedDevice = {
    onuncapturederror: null,
    lost: new Promise((resolve) => {
      lose = resolve;
    }),
  };
  const ends: string[] = [];
  watchDevice(device, (text) => void ends.push(text));
  return { device, lose, ends };
}

describe('a device that is watched', () => {
  it('ends the process when it refuses a command, with the reason', () => {
    const { device, ends } = watched();
    device.onuncapturederror!({ error: { message: 'Binding size is larger than allowed' } });
    device.onuncapturederror!({});
    expect(ends).toEqual([
      'The GPU refused a command: Binding size is larger than allowed',
      'The GPU refused a command: no reason given',
    ]);
  });

  it.each([
    [{ message: 'Device reset', reason: 'unknown' }, ['The GPU was lost: Device reset']],
    [{ message: '', reason: 'unknown' }, ['The GPU was lost: unknown']],
    [{ message: 'was given back', reason: 'destroyed' }, []],
  ])('ends the process when it is lost, but not when it is given back: %o', async (info, expected) => {
    const { device, lose, ends } = watched();
    lose(info);
    await device.lost;
    expect(ends).toEqual(expected);
  });
});
