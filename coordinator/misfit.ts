import { layersOf } from '../src/distill/layers.ts';
import type { MessageOf, PeerMessage, Wants } from '../src/protocol/messages.ts';
import { teachesIn } from './exchange.ts';
import { byName, type Member } from './members.ts';
import type { Run } from './runState.ts';

type Ready = MessageOf<PeerMessage, 'ready'>;

/** Why what a peer needs of others, or has for them, does not fit into this run; `null` if it does. */
export function misfit(run: Run, member: Member, message: Ready): string | null {
  const { wants } = message;
  if (member.role === 'teacher' && wants) return 'wants: expected none of a teacher';
  if (member.role === 'teacher' && message.wantsWeights)
    return 'wantsWeights: expected of a student alone, as a teacher has its own weights';
  const known = byName(run.members).filter(({ ready }) => ready !== null);
  const students = known.filter(({ role }) => role === 'student');
  const [reference] = students;
  if (member.role === 'student' && reference && !same(reference.ready!.wants, wants)) {
    return `wants: expected those of ${reference.name}, as all students learn by the same method`;
  }
  const needed = wants ?? reference?.ready?.wants;
  if (!needed || needed.encodings.length === 0) return null;
  const { places } = run.options;
  const teachers = places.filter(({ role }) => role === 'teacher').length || places.length - 1;
  if (needed.ensemble !== 'apart' && teachers > 1) {
    return `features can be compared with those of one teacher, and here are ${teachers}: give the run two students, or one teacher`;
  }
  const here = [...known.filter(({ name }) => name !== member.name), { ...member, ready: message }];
  const lacking = here.filter((each) => teachesIn(run, each)).map((each) => lackingIn(needed, each));
  return lacking.find((reason) => reason !== null) ?? null;
}

function same(a: Wants | undefined, b: Wants | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function lackingIn({ encodings }: Wants, { name, ready }: Member): string | null {
  const has = Object.keys(ready?.layers ?? {});
  const layer = encodings.flatMap((each) => layersOf(each.layer)).find((each) => !has.includes(each));
  if (layer === undefined) return null;
  return `the method needs layer ${layer} of a teacher, and ${name} has ${has.join(', ') || 'none'}`;
}
