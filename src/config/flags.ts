import { type Command, Option } from 'commander';
import { parse } from 'yaml';
import type { Override } from './load.ts';
import { experimentSettings, ITEM, keyOf, type Setting } from './settings.ts';

/** A setting of the experiment as a command-line option and an environment variable. */
export interface ExperimentFlag {
  readonly setting: Setting;
  /** Such as `--label-noise`. */
  readonly flag: string;
  /** Such as `CODISTILL_LABEL_NOISE`. */
  readonly variable: string;
}

/** Settings whose last key would not say enough, or would say something else. */
const namedOtherwise: Readonly<Record<string, string>> = { 'training.optimizer.name': 'optimizer' };

/** Lists and maps are one string on the command line: what it looks like, and how it becomes them and comes from them. */
const lists: Readonly<
  Record<string, { form: string; parse: (text: string) => unknown; format: (value: never) => string }>
> = {
  peers: {
    form: 'models with commas between, such as 2xcnn-s,resnet8',
    parse: parsePeers,
    format: formatPeers,
  },
  'training.milestones': {
    form: 'epochs with commas between, such as 15,20',
    parse: (text) => itemsOf(text).map(Number),
    format: () => '',
  },
  'distill.options': {
    form: 'names and values with commas between, such as beta=8,alpha=1',
    parse: parseOptions,
    format: () => '',
  },
  'distill.methods': {
    form: 'names with commas between, each with its weight if need be, such as kd=0.9,crd=0.8',
    parse: parseMethods,
    format: () => '',
  },
  compare: {
    form: 'methods with commas between, such as independent,dml',
    parse: itemsOf,
    format: (methods: string[]) => methods.join(),
  },
};

/** The flags of all settings, in the order of the schema. Keys of a list's items have none. */
export function experimentFlags(): ExperimentFlag[] {
  return experimentSettings()
    .filter(({ path }) => !path.includes(ITEM))
    .map((setting) => {
      const name = kebab(namedOtherwise[keyOf(setting.path)] ?? setting.path.at(-1)!);
      return { setting, flag: `--${name}`, variable: `CODISTILL_${name.toUpperCase().replaceAll('-', '_')}` };
    });
}

/** Adds an option for every setting of the experiment, under a heading for each section. */
export function addExperimentOptions(command: Command): void {
  for (const { setting, flag, variable } of experimentFlags()) {
    command.addOption(
      new Option(`${flag} <value>`, describe(setting)).env(variable).helpGroup(`${headingOf(setting)}:`),
    );
  }
}

/**
 * What the parsed `command` got from flags and variables, flags first; to be validated by `loadExperiment`.
 * An empty variable counts as one that is not set.
 */
export function overridesFrom(command: Command): Override[] {
  return experimentFlags().flatMap(({ setting, flag, variable }) => {
    const attribute = new Option(flag).attributeName();
    const text: unknown = command.getOptionValue(attribute);
    const fromVariable = command.getOptionValueSource(attribute) === 'env';
    if (typeof text !== 'string' || (fromVariable && text === '')) return [];
    return [{ path: setting.path, value: parseValue(setting, text), origin: fromVariable ? variable : flag }];
  });
}

function describe(setting: Setting): string {
  const list = lists[keyOf(setting.path)];
  const { description, expected, default: value } = setting;
  const shown = list ? list.format(value as never) : value;
  const values = list?.form ?? expected;
  return `${description} (${shown === undefined || shown === '' ? values : `${values}; default ${shown}`})`;
}

function headingOf({ path }: Setting): string {
  const section = path.length > 1 ? path[0]! : 'experiment';
  return section[0]!.toUpperCase() + section.slice(1);
}

/** The value that `text` would be in a file; what it is not is left for validation to report. */
function parseValue(setting: Setting, text: string): unknown {
  const list = lists[keyOf(setting.path)];
  if (list) return list.parse(text);
  if (setting.textual) return text;
  if (text === 'true' || text === 'false') return text === 'true';
  return text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : text;
}

function itemsOf(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

function parsePeers(text: string): { model: string; count: number }[] {
  return itemsOf(text).map((item) => {
    const [, count, model] = /^(\d+)x(.+)$/.exec(item) ?? [];
    return { model: model ?? item, count: Number(count ?? 1) };
  });
}

/** `beta=8,layers=[stage1,stage2]`: what stands between the braces of a map in YAML, but for the `=`. */
function parseOptions(text: string): unknown {
  try {
    return parse(`{ ${text.replaceAll('=', ': ')} }`);
  } catch {
    return text;
  }
}

function parseMethods(text: string): { name: string; weight?: number }[] {
  return itemsOf(text).map((item) => {
    const [, name, weight] = /^(.+)=(.+)$/.exec(item) ?? [];
    return { name: name ?? item, ...(weight !== undefined && { weight: Number(weight) }) };
  });
}

function formatPeers(groups: readonly { model: string; count?: number }[]): string {
  return groups.map(({ model, count = 1 }) => (count === 1 ? model : `${count}x${model}`)).join();
}

function kebab(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
