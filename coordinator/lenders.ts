import { isModelPath } from '../src/models/names.ts';
import { byName, type Member, type Members } from './members.ts';

/** Whose weights a student may begin with, or why there are none. */
export type Lender = { readonly lender: Member } | { readonly reason: string };

/**
 * The student in training that has the newcomer's model and was the most accurate at its last evaluation, the first by
 * name of equal ones. What it sends are its weights as they are now, so its last evaluation counts, and not its best.
 *
 * @param unfit why a student's weights are of no use, in words; `null` where nothing speaks against them
 */
export function lenderFor(
  members: Members,
  newcomer: Member,
  unfit: (member: Member) => string | null = () => null,
): Lender {
  const others = byName(members).filter(
    ({ name, role, state, connected }) =>
      role === 'student' && name !== newcomer.name && state === 'training' && connected,
  );
  if (others.length === 0) return { reason: 'no other student is in training' };
  const alike = others.filter((other) => isAlike(other, newcomer));
  if (alike.length === 0) {
    const theirs = others.map((other) => `${other.name} has ${modelOf(other)}`).join(', ');
    return { reason: `nobody has the same model, ${modelOf(newcomer)}: ${theirs}` };
  }
  const doubts = alike.map((member) => ({ member, doubt: doubtOf(member) ?? unfit(member) }));
  const able = doubts.flatMap(({ member, doubt }) => (doubt === null ? [member] : []));
  const [first, ...rest] = able;
  if (!first) return { reason: doubts.map(({ member, doubt }) => `${member.name} ${doubt}`).join(', ') };
  return { lender: rest.reduce((best, each) => (accuracyOf(each) > accuracyOf(best) ? each : best), first) };
}

/** Its accuracy on the test set when it was last evaluated, 0-1. */
export function accuracyOf({ evaluation }: Member): number {
  return evaluation?.accuracy ?? 0;
}

function doubtOf({ ready, evaluation, collapsed }: Member): string | null {
  if (!ready?.lends) return 'keeps its weights to itself';
  if (evaluation === null) return 'was not evaluated yet';
  return collapsed === null ? null : 'has collapsed';
}

/** A module has a path of its own on each machine; the newcomer compares every parameter with what it gets. */
function isAlike(a: Member, b: Member): boolean {
  const sameName = a.model === b.model || (isModelPath(a.model) && isModelPath(b.model));
  return sameName && a.ready?.parameters === b.ready?.parameters;
}

function modelOf({ model, ready }: Member): string {
  return `${model} (${ready?.parameters ?? 0} parameters)`;
}
