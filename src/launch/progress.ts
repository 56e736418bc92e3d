import { MultiBar, type SingleBar } from 'cli-progress';
import type { RunStatus } from '../results/types.ts';
import { type StepClock, secondsLeft, startStepClock } from './eta.ts';
import {
  backendLines,
  formatBar,
  formatEvaluation,
  formatHeading,
  formatLine,
  type Part,
} from './progressText.ts';

/** Between two reports about the peers where the output is not a terminal, in milliseconds. */
const PLAIN_INTERVAL = 5000;

export interface ProgressOptions {
  /** Whether the stream is a terminal, on which lines can be drawn over. */
  readonly tty: boolean;
  /** Milliseconds on a clock that never goes back. */
  readonly now?: () => number;
}

export interface Progress {
  /** Shows how the run goes. Call it on every poll. */
  show(status: RunStatus, part: Part): void;
  /** Leaves the last state on the screen and gives the terminal back. Call it also when the run fails. */
  stop(): void;
}

/** How one training is shown. */
interface View {
  /** @param left seconds to go of each peer, as far as known */
  draw(status: RunStatus, part: Part, left: readonly (number | null)[]): void;
  /** Says something once. */
  tell(line: string): void;
  end(): void;
}

/** Shows a run's progress on a stream: bars that move on a terminal, and otherwise a plain line now and then. */
export function createProgress(stream: NodeJS.WritableStream, options: ProgressOptions): Progress {
  const now = options.now ?? (() => performance.now());
  let current: { readonly key: string; readonly view: View; readonly clock: StepClock } | null = null;
  const told = new Set<string>();
  const stop = (): void => {
    current?.view.end();
    current = null;
  };
  return {
    show: (status, part) => {
      const key = `${part.number} ${status.run} ${status.method}`;
      if (current?.key !== key) {
        stop();
        const view = options.tty ? barsOn(stream) : linesOn(stream, now);
        current = { key, view, clock: startStepClock(status, now()) };
      }
      const { view, clock } = current;
      for (const line of backendLines(status).filter((each) => !told.has(each))) {
        told.add(line);
        view.tell(line);
      }
      const left = status.peers.map((peer) => secondsLeft(clock, peer, now()));
      view.draw(status, part, left);
    },
    stop,
  };
}

/** Bars whose whole text is made here; signals are left to the program. */
function barsOn(stream: NodeJS.WritableStream): View {
  const multi = new MultiBar({
    stream,
    format: (_options, _params, payload: { line: string }) => payload.line,
    hideCursor: true,
    gracefulExit: false,
  });
  const bars: SingleBar[] = [];
  return {
    draw: (status, part, left) => {
      const lines = [
        formatHeading(status, part, slowest(left)),
        ...status.peers.map((peer, i) => formatBar(peer, status.peers, left[i] ?? null)),
      ];
      while (bars.length < lines.length) bars.push(multi.create(1, 0, { line: '' }));
      for (const [i, bar] of bars.entries()) bar.update({ line: lines[i] ?? '' });
      multi.update();
    },
    tell: (line) => {
      multi.log(`${line}\n`);
    },
    end: () => multi.stop(),
  };
}

function linesOn(stream: NodeJS.WritableStream, now: () => number): View {
  let phase = '';
  let heading = '';
  let headedAt = now();
  let reportedAt = now();
  const evaluated = new Map<string, number>();
  const print = (line: string): void => {
    stream.write(`${line}\n`);
  };
  /** A new phase is told at once. A wait in training changes with every look: it is told now and then. */
  const head = (status: RunStatus, part: Part): void => {
    const text = formatHeading({ ...status, rounds: { committed: 0, missed: 0 } }, part, null);
    const due = status.phase !== phase || status.phase === 'waiting' || now() - headedAt >= PLAIN_INTERVAL;
    if (text === heading || !due) return;
    print(text);
    ({ phase } = status);
    heading = text;
    headedAt = now();
  };
  return {
    draw: (status, part, left) => {
      head(status, part);
      for (const peer of status.peers) {
        if (peer.testAccuracy === null || peer.testAccuracy === evaluated.get(peer.name)) continue;
        evaluated.set(peer.name, peer.testAccuracy);
        print(formatEvaluation(peer));
      }
      if (status.phase !== 'training' || now() - reportedAt < PLAIN_INTERVAL) return;
      reportedAt = now();
      for (const [i, peer] of status.peers.entries()) {
        if (peer.state !== 'done' && peer.role === 'student') print(formatLine(peer, left[i] ?? null));
      }
    },
    tell: print,
    end: () => {},
  };
}

function slowest(seconds: readonly (number | null)[]): number | null {
  const known = seconds.filter((value) => value !== null);
  return known.length === 0 ? null : Math.max(...known);
}
