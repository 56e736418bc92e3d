import { rm } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { createCommand } from '../config/commandLine.ts';
import { BackendError, ExitCode } from '../errors.ts';
import { rate } from '../results/format.ts';
import type { Subcommand } from './subcommand.ts';

/** `codistill install-tensorflow`: links the native backends to a TensorFlow that is there, or that pip brings. */
export function installTensorflowCommand(): Subcommand {
  const command = createCommand(
    'install-tensorflow',
    'link the native backends to a TensorFlow that is here, or that pip installs',
  )
    .addOption(
      new Option(
        '--from <folder>',
        'a Python package "tensorflow", its environment, or an unpacked C library',
      ),
    )
    .addOption(
      new Option('--pip', 'install TensorFlow by pip for codistill alone: with CUDA where a GPU is seen')
        .default(false)
        .conflicts('from'),
    )
    .addOption(new Option('--remove', 'take all of it back').default(false).conflicts(['from', 'pip']))
    .addHelpText('after', "\nWithout an option, python3's own package is linked. Needs a C++ compiler.");
  return { command, work: installTensorflow };
}

async function installTensorflow(command: Command): Promise<ExitCode> {
  const options = command.opts<{ from?: string; pip: boolean; remove: boolean }>();
  // Loaded here, so that no other command waits for TensorFlow.js.
  const { link, removeLink } = await import('../backend/tensorflow/link.ts');
  const { folderOfPythonsTensorflow, locateTensorflow } = await import('../backend/tensorflow/locate.ts');
  const { installByPip, pipFolder } = await import('../backend/tensorflow/pip.ts');
  const say = (text: string): boolean => process.stdout.write(`${text}\n`);

  if (options.remove) {
    const removed = await removeLink();
    await rm(pipFolder(), { recursive: true, force: true });
    say(removed ? `Removed the link to TensorFlow ${removed.tensorflow}.` : 'Nothing was linked.');
    return ExitCode.ok;
  }
  const folder = options.pip ? await installByPip() : (options.from ?? (await folderOfPythonsTensorflow()));
  const library = locateTensorflow(folder);
  say(`Linking to ${library.libraries[0]} ...`);
  const { tensorflow, gpu } = await link(library);
  const backend = gpu ? 'tfjs-node-gpu' : 'tfjs-node';
  const { inspectBackend } = await import('./inspectBackends.ts');
  const { works, detail, imagesPerSecond } = await inspectBackend(backend, 'cnn-s');
  if (!works) throw new BackendError(`TensorFlow ${tensorflow} is linked, but does not train: ${detail}.`);
  say(
    `TensorFlow ${tensorflow} is linked and trains cnn-s with ${rate(imagesPerSecond!)} images/s: ${detail}.`,
  );
  say(`"auto" chooses ${backend} from now on; codistill install-tensorflow --remove takes it back.`);
  return ExitCode.ok;
}
