/**
 * What it costs the coordinator to look at who says what: microseconds for 1,000 logits, next to the check that they are
 * finite and to the making of the targets.
 *
 *     node dist/test/bench/suspects.js
 */
import { inspect, type Suspects } from '../../coordinator/suspects/suspects.ts';
import { hasNonFinite } from '../../src/codec/index.ts';
import { targets } from '../../src/ensemble/targets.ts';
import { createRandom } from '../../src/random.ts';

const ROUNDS = 200;

/** Processor time of the fastest of several runs of all rounds: what else the machine does only adds to it. */
function microseconds(work: (round: number) => void): number {
  let least = Infinity;
  for (let run = 0; run < 5; run++) {
    const before = process.cpuUsage();
    for (let round = 0; round < ROUNDS; round++) work(round);
    least = Math.min(least, process.cpuUsage(before).user);
  }
  return least / ROUNDS;
}

process.stdout.write('| peers | batch | classes | finite? | suspects | targets | (µs for 1,000 logits)\n');
for (const [peers, rows, classes] of [
  [4, 64, 10],
  [4, 64, 100],
  [16, 64, 100],
  [4, 256, 1000],
] as const) {
  const random = createRandom('bench', peers, classes);
  // Peers that mostly agree, as trained ones do; eight batches of each, in turn.
  const labels = Array.from({ length: 8 * rows }, () => random.below(classes));
  const said = Array.from({ length: 8 }, (_, batch) =>
    Array.from({ length: peers }, () =>
      Float32Array.from({ length: rows * classes }, (_, i) => {
        const label = labels[batch * rows + Math.floor(i / classes)];
        return random.normal() + (i % classes === label ? 8 : 0);
      }),
    ),
  );
  const thousands = (peers * rows * classes) / 1000;
  const suspects: Suspects = new Map();
  const look = (round: number): void => {
    const contributions = said[round % 8]!.map(
      (logits, i) => [`p${i}`, { logits, encodings: [], labels: null }] as const,
    );
    inspect(suspects, { batch: Uint8Array.of(round % 8), rows, contributions });
  };
  const options = { rows, classes, temperature: 2, includeSelf: false };
  const columns = [
    microseconds((round) => void said[round % 8]!.map(hasNonFinite)),
    microseconds(look),
    microseconds((round) => void targets('mean-probabilities', said[round % 8]!, options)),
  ].map((each) => (each / thousands).toFixed(2));
  process.stdout.write(`| ${[peers, rows, classes, ...columns].join(' | ')} |\n`);
}
