import Table from 'cli-table3';
import { type Command, Option } from 'commander';
import { createCommand } from '../config/commandLine.ts';
import { addGpuOption, addTrainingOptions, type TrainingOptions } from '../config/trainingOptions.ts';
import { ExitCode } from '../errors.ts';
import { json } from '../results/files.ts';
import { decimal, percent } from '../results/format.ts';
import type { Evaluation } from '../results/types.ts';
import type { RunEvaluation } from './evaluateRun.ts';
import type { Subcommand } from './subcommand.ts';

/** `codistill eval`: the saved weights of a run, evaluated again. */
export function evalCommand(): Subcommand {
  const command = createCommand('eval', 'evaluate the saved weights of a run on its test set again')
    .argument('<folder>', 'a run folder, or that of a compared method in it, such as .../compare/independent')
    .argument(
      '[other]',
      'a second one, such as the same experiment with another seed: tells the churn between them',
    )
    .addOption(new Option('--json', 'print JSON on stdout instead of a table').default(false));
  return { command: addGpuOption(addTrainingOptions(command)), work: evaluateAgain };
}

async function evaluateAgain(command: Command): Promise<ExitCode> {
  const [folder, other] = command.processedArgs as [string, string | undefined];
  const options = command.opts<TrainingOptions & { json: boolean }>();
  // Loaded here, so that no other command waits for TensorFlow.js.
  const { evaluateRun } = await import('./evaluateRun.ts');
  const result = await evaluateRun(folder, options, other);
  process.stdout.write(options.json ? json(result) : `${tableOf(result, other)}\n`);
  return ExitCode.ok;
}

function tableOf({ peers, ensemble, dataset, backend }: RunEvaluation, other?: string): string {
  const table = new Table({
    head: ['peer', 'model', 'accuracy', 'top-5', 'NLL', 'Brier', 'ECE', ...(other ? ['churn'] : [])],
    colAligns: ['left', 'left', 'right', 'right', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [] },
  });
  const measures = ({ accuracy, top5, nll, brier, ece }: Evaluation): string[] => [
    percent(accuracy),
    percent(top5 ?? null),
    decimal(nll, 3),
    decimal(brier ?? null, 3),
    percent(ece),
  ];
  for (const { name, model, test, churn } of peers) {
    table.push([name, model, ...measures(test), ...(other ? [percent(churn ?? null)] : [])]);
  }
  if (ensemble) table.push(['ensemble', '', ...measures(ensemble), ...(other ? [''] : [])]);
  const lines = [
    table.toString(),
    `${dataset.testSamples} test images (${dataset.source}), ${backend}`,
    ...(other ? [`churn: share of them on which the same peer of ${other} predicts another class`] : []),
  ];
  return lines.join('\n');
}
