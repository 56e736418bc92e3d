import { cpus } from 'node:os';
import Table from 'cli-table3';
import { type Command, Option } from 'commander';
import { createCommand } from '../config/commandLine.ts';
import { addGpuOption } from '../config/trainingOptions.ts';
import { ExitCode } from '../errors.ts';
import { json } from '../results/files.ts';
import { rate, wrap } from '../results/format.ts';
import type { BackendReport } from './inspectBackends.ts';
import type { Subcommand } from './subcommand.ts';

/** `codistill doctor`: what can compute on this machine, how fast, and what to do about what cannot. */
export function doctorCommand(): Subcommand {
  const command = createCommand('doctor', 'show which backends work on this machine, and how fast they train')
    .addOption(new Option('--model <name>', 'model to time').default('cnn-s'))
    .addOption(new Option('--json', 'print JSON on stdout instead of a table').default(false));
  return { command: addGpuOption(command), work: doctor };
}

async function doctor(command: Command): Promise<ExitCode> {
  const options = command.opts<{ model: string; gpu?: string; json: boolean }>();
  // Loaded here, so that no other command waits for TensorFlow.js.
  const { inspectBackends } = await import('./inspectBackends.ts');
  const reports = await inspectBackends(options.model, options.gpu, (name) =>
    process.stderr.write(`trying ${name} ...\n`),
  );
  const chosen =
    reports.find(
      ({ automatic, works, usesGpu }) => automatic && works && (usesGpu || options.gpu === undefined),
    ) ?? null;
  const machine = `Node.js ${process.version}, ${cpus()[0]?.model.trim()}, ${cpus().length} cores`;
  if (options.json) {
    process.stdout.write(
      json({ machine, model: options.model, chosen: chosen?.name ?? null, backends: reports }),
    );
  } else {
    const choice = chosen
      ? `"auto" chooses ${chosen.name}.`
      : 'There is no backend that "auto" could choose.';
    process.stdout.write(`${machine}\n${tableOf(reports)}\n${choice}\n`);
  }
  return chosen ? ExitCode.ok : ExitCode.backend;
}

function tableOf(reports: readonly BackendReport[]): string {
  const table = new Table({
    head: ['backend', 'works', 'img/s', 'device, or why not and what to do'],
    colAligns: ['left', 'left', 'right', 'left'],
    style: { head: [], border: [] },
  });
  for (const { name, works, imagesPerSecond, detail, remedy } of reports) {
    const speed = imagesPerSecond === null ? '–' : rate(imagesPerSecond);
    const text = [detail, ...(remedy === null ? [] : [remedy])].map((line) => wrap(line, 60)).join('\n');
    table.push([name, works ? 'yes' : 'no', speed, text]);
  }
  return table.toString();
}
