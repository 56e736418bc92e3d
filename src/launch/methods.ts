import Table from 'cli-table3';
import { type Command, Option } from 'commander';
import { createCommand } from '../config/commandLine.ts';
import type { MethodDescription } from '../distill/describe.ts';
import { ExitCode } from '../errors.ts';
import { json } from '../results/files.ts';
import { byteSize, wrap } from '../results/format.ts';
import type { Subcommand } from './subcommand.ts';

/** `codistill methods`: how students can be taught. */
export function methodsCommand(): Subcommand {
  const command = createCommand(
    'methods',
    'list the distillation methods; with a name, its options and source',
  )
    .argument('[method]', 'one of them, or the path of a module that exports a method')
    .addOption(new Option('--json', 'print JSON on stdout instead of a table').default(false));
  return { command, work: showMethods };
}

async function showMethods(command: Command): Promise<ExitCode> {
  const [name] = command.processedArgs as [string | undefined];
  const { json: asJson } = command.opts<{ json: boolean }>();
  // Loaded here, so that no other command waits for TensorFlow.js.
  const { describeMethod, REFERENCE } = await import('../distill/describe.ts');
  const { findMethods } = await import('../findMethods.ts');
  const { getMethod } = await import('../distill/index.ts');
  const methods = await findMethods(name === undefined ? [] : [name]);
  const chosen = name === undefined ? Object.values(methods) : [getMethod(name, methods)];
  const described = chosen.map(describeMethod);
  const text =
    name === undefined
      ? `${tableOf(described)}\nA teacher sends, for one batch: ${REFERENCE.description}.\nOptions and source of one: codistill methods NAME`
      : detailsOf(described[0]!);
  process.stdout.write(asJson ? json(name === undefined ? described : described[0]) : `${text}\n`);
  return ExitCode.ok;
}

function tableOf(methods: readonly MethodDescription[]): string {
  const table = new Table({
    head: ['method', 'schema', 'a teacher sends', 'learns from'],
    style: { head: [], border: [] },
  });
  for (const { name, schema, sends, bytes, summary } of methods) {
    table.push([
      name,
      schema,
      bytes === 0 ? '–' : wrap(`${sends}: ${byteSize(bytes)}`, 18),
      wrap(summary, 42),
    ]);
  }
  return table.toString();
}

function detailsOf({
  name,
  summary,
  source,
  schema,
  sends,
  bytes,
  weights,
  options,
}: MethodDescription): string {
  const lines = [
    `${name}: ${summary}`,
    '',
    `source    ${source}`,
    `schema    ${schema}`,
    `sends     ${sends}${bytes === 0 ? '' : `, ${byteSize(bytes)} a batch`}`,
    `weights   ceWeight ${weights.ce}, kdWeight ${weights.kd}`,
  ];
  if (options.length === 0) return [...lines, 'options   none'].join('\n');
  const width = Math.max(...options.map((option) => option.name.length));
  return [
    ...lines,
    'options   (in a file under distill.options, or --options name=value)',
    ...options.map(
      (option) =>
        `  ${option.name.padEnd(width)}  ${option.description} (default ${JSON.stringify(option.default)})`,
    ),
  ].join('\n');
}
