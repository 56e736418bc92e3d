import { ExitCode } from '../../errors.ts';

/** What is used of a `GPUDevice`. */
export interface WatchedDevice {
  onuncapturederror: ((event: { readonly error?: { readonly message: string } }) => void) | null;
  readonly lost: Promise<{ readonly message: string; readonly reason: string }>;
}

/**
 * Ends the process with an error that says so when the device refuses a command, or is lost: results are wrong from then
 * on, and TensorFlow.js goes on with them. What was saved before is good.
 *
 * @param end does that; tests put another one in its place
 */
export function watchDevice(device: WatchedDevice, end: (text: string) => void = endProcess): void {
  device.onuncapturederror = ({ error }) =>
    end(`The GPU refused a command: ${error?.message ?? 'no reason given'}`);
  void device.lost.then(({ message, reason }) => {
    // Being given back at the end of the work is no loss.
    if (reason !== 'destroyed') end(`The GPU was lost: ${message || reason}`);
  });
}

function endProcess(text: string): void {
  const [first] = text.split('\n', 1);
  process.stderr.write(`Error: ${first} The results of this process would be wrong, so it ends.\n`);
  process.exit(ExitCode.backend);
}
