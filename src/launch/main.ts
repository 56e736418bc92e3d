#!/usr/bin/env node
/** The `codistill` command. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { createCommand } from '../config/commandLine.ts';
import { ExitCode } from '../errors.ts';
import { projectRoot } from '../paths.ts';
import { runProgram } from '../program.ts';
import { delegate } from './delegate.ts';
import { doctorCommand } from './doctor.ts';
import { drillsCommand } from './drills.ts';
import { evalCommand } from './eval.ts';
import { installTensorflowCommand } from './installTensorflow.ts';
import { methodsCommand } from './methods.ts';
import { runCommand } from './run.ts';
import { selfCommand } from './self.ts';
import type { Subcommand } from './subcommand.ts';

await runProgram(async () => {
  let exitCode: ExitCode = ExitCode.ok;
  /** Makes a command's work the work of this process. */
  const perform = ({ command, work }: Subcommand): Command =>
    command.action(async () => {
      exitCode = await work(command);
    });
  /** A program of its own, which reads its options itself. */
  const program = (name: string, description: string): Command => {
    const command = new Command(name)
      .description(description)
      .helpOption(false)
      .allowUnknownOption()
      .argument('[arguments...]', `see codistill ${name} --help`);
    return perform({ command, work: () => delegate(`${name}/main.js`, command.args) });
  };
  const { version } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8'));
  await createCommand('codistill', 'Trains networks that teach each other, on one machine or on many.')
    .version(version)
    .enablePositionalOptions()
    .addCommand(perform(runCommand()))
    .addCommand(program('coordinator', 'keep the peers of one run in step').passThroughOptions())
    .addCommand(program('peer', 'train one student of a run, on this machine').passThroughOptions())
    .addCommand(perform(selfCommand()))
    .addCommand(perform(evalCommand()))
    .addCommand(perform(methodsCommand()))
    .addCommand(perform(doctorCommand()))
    .addCommand(perform(installTensorflowCommand()))
    .addCommand(perform(drillsCommand()).passThroughOptions())
    .addHelpText('after', '\nStart with: codistill run quickstart')
    .parseAsync();
  return exitCode;
});
