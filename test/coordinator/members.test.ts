import { describe, expect, it } from 'vitest';
import { admit, byName, type Members, mismatch, type Place, takePlace } from '../../coordinator/members.ts';
import { helloOf, readyWith } from './support.ts';

const places: readonly Place[] = [
  { name: 'cnn-s-1', model: 'cnn-s', role: 'student' },
  { name: 'resnet8-1', model: 'resnet8', role: 'student' },
];

const { name: _, model: __, ...anonymous } = helloOf('somebody');

/** A run's members after these have come, one after the other; each is named, or asks for a model, or for nothing. */
function membersAfter(...hellos: readonly { name?: string; model?: string }[]): Members {
  const members: Members = new Map();
  for (const each of hellos) {
    const hello = { ...anonymous, ...each };
    const place = takePlace(members, places, hello);
    if ('refused' in place) throw new Error(place.refused);
    admit(members, place.name, place.model, hello, 0);
  }
  return members;
}

function modelsOf(members: Members): string[] {
  return [...members.values()].map(({ name, model }) => `${name}: ${model}`);
}

describe('takePlace', () => {
  it('gives the places in the order of the experiment to peers that ask for nothing', () => {
    expect(modelsOf(membersAfter({}, {}))).toEqual(['cnn-s-1: cnn-s', 'resnet8-1: resnet8']);
  });

  it('gives a peer with a model the first free place with that model', () => {
    expect(modelsOf(membersAfter({ model: 'resnet8' }, {}))).toEqual([
      'resnet8-1: resnet8',
      'cnn-s-1: cnn-s',
    ]);
  });

  it('never makes a peer load a file that another one named, but those of the experiment', () => {
    const members = membersAfter({ name: 'cnn-s-1', model: './mine.js' });
    const back = { ...anonymous, name: 'cnn-s-1' };
    expect(takePlace(members, places, back)).toEqual({ name: 'cnn-s-1', model: 'cnn-s' });
    expect(takePlace(members, places, { ...back, model: './mine.js' })).toMatchObject({ model: './mine.js' });
    members.get('cnn-s-1')!.connected = false;
    admit(members, 'resnet8-1', 'resnet8', { ...anonymous, name: 'resnet8-1' }, 0);
    expect(takePlace(members, places, anonymous)).toEqual({ name: 'cnn-s-1', model: 'cnn-s' });
    const own = [{ ...places[0]!, model: './mine.js' }, places[1]!];
    expect(takePlace(members, own, back)).toEqual({ name: 'cnn-s-1', model: './mine.js' });
  });

  it('lets a peer bring a model that no place has', () => {
    expect(modelsOf(membersAfter({ model: './net.js' }, {}))).toEqual([
      'cnn-s-1: ./net.js',
      'resnet8-1: resnet8',
    ]);
  });

  it('gives a named peer the model of its place', () => {
    expect(modelsOf(membersAfter({ name: 'resnet8-1' }))).toEqual(['resnet8-1: resnet8']);
  });

  it('lets a peer bring a name of its own, with a place that is then taken', () => {
    expect(modelsOf(membersAfter({ name: 'alice' }, { name: 'bob' }))).toEqual([
      'alice: cnn-s',
      'bob: resnet8',
    ]);
    expect(modelsOf(membersAfter({ name: 'alice', model: 'resnet8' }, {}))).toEqual([
      'alice: resnet8',
      'cnn-s-1: cnn-s',
    ]);
    expect(modelsOf(membersAfter({}, { name: 'alice' }))).toEqual(['cnn-s-1: cnn-s', 'alice: resnet8']);
  });

  it('lets a peer that is in come back with its name, and with the model it had', () => {
    const members = membersAfter({ name: 'alice', model: 'mlp' }, {});
    expect(takePlace(members, places, { ...anonymous, name: 'alice' })).toEqual({
      name: 'alice',
      model: 'mlp',
    });
  });

  it.each([[[{}, {}]], [[{ name: 'alice' }, { name: 'bob' }]], [[{ name: 'alice' }, {}]]])(
    'refuses one more than there are places, after %j',
    (hellos) => {
      const members = membersAfter(...hellos);
      const refused = `the run has its 2 students already: ${[...members.keys()].join(', ')}`;
      for (const hello of [anonymous, { ...anonymous, name: 'carol' }]) {
        expect(takePlace(members, places, hello)).toEqual({ refused });
      }
    },
  );

  it('never gives two peers one name, whatever the order', () => {
    const members = membersAfter({ name: 'alice' }, { name: 'cnn-s-1' });
    // Its place is free again, but the name belongs to one who sits elsewhere.
    members.delete('alice');
    expect(takePlace(members, places, anonymous)).toMatchObject({ name: 'resnet8-1' });
  });
});

describe('admit', () => {
  it('renews a peer that is back, and keeps what it is known for', () => {
    const members = membersAfter({ name: 'alice' });
    const alice = members.get('alice')!;
    Object.assign(alice, { state: 'lost', connected: false, bytesUp: 7, ready: readyWith() });
    const again = helloOf('alice', { backend: 'cpu', incarnation: 'second-life' });
    expect(admit(members, 'alice', 'cnn-s', again, 50)).toBe(alice);
    expect(alice).toMatchObject({
      state: 'joining',
      connected: true,
      sinceMs: 50,
      bytesUp: 7,
      backend: 'cpu',
    });
    expect(alice.incarnation).toBe('second-life');
    expect(members.size).toBe(1);
  });

  it('leaves done what is done', () => {
    const members = membersAfter({ name: 'alice' });
    members.get('alice')!.state = 'done';
    expect(admit(members, 'alice', 'cnn-s', helloOf('alice'), 0).state).toBe('done');
  });
});

describe('mismatch', () => {
  const alice = membersAfter({ name: 'alice' }).get('alice')!;
  alice.ready = readyWith();

  it('is null for what may differ', () => {
    expect(mismatch(readyWith({ parameters: 5 }), alice)).toBeNull();
  });

  it.each([
    [{ classes: 3 }, 'classes: expected 2 (as alice has), got 3'],
    [
      { inputShape: [32, 32, 3] as [number, number, number] },
      'input shape: expected 28x28x1 (as alice has), got 32x32x3',
    ],
    [{ trainSize: 9 }, 'training samples: expected 8 (as alice has), got 9'],
    [{ testSize: 5 }, 'test samples: expected 4 (as alice has), got 5'],
    [{ dataset: 'cd'.repeat(32) }, 'dataset: expected abababababab (as alice has), got cdcdcdcdcdcd'],
  ])('names both values of %j', (changes, reason) => {
    expect(mismatch(readyWith(changes), alice)).toBe(reason);
  });
});

describe('byName', () => {
  it('sorts by code units, as every machine does', () => {
    const members = new Map(membersAfter({ name: 'b' }, { name: 'a' }));
    expect(byName(members).map(({ name }) => name)).toEqual(['a', 'b']);
    const upper = membersAfter({ name: 'a' }, { name: 'B' });
    expect(byName(upper).map(({ name }) => name)).toEqual(['B', 'a']);
  });
});

describe('places of teachers', () => {
  const mixed: readonly Place[] = [
    { name: 'cnn-s-1', model: 'cnn-s', role: 'student' },
    { name: 'teacher-1', model: 'cnn-s', role: 'teacher' },
  ];
  const take = (members: Members, changes: Partial<typeof anonymous> & { name?: string; model?: string }) =>
    takePlace(members, mixed, { ...anonymous, ...changes });

  it('are for those that say they are one, and those of students for all others', () => {
    expect(take(new Map(), { role: 'teacher' })).toEqual({ name: 'teacher-1', model: 'cnn-s' });
    expect(take(new Map(), {})).toEqual({ name: 'cnn-s-1', model: 'cnn-s' });
    expect(take(new Map(), { role: 'student', model: 'cnn-s' })).toMatchObject({ name: 'cnn-s-1' });
  });

  it('are as many as there are', () => {
    const members: Members = new Map();
    const hello = { ...anonymous, role: 'teacher' as const };
    admit(members, 'teacher-1', 'cnn-s', hello, 0);
    expect(members.get('teacher-1')!.role).toBe('teacher');
    expect(take(members, { role: 'teacher' })).toEqual({
      refused: 'the run has its 1 teachers already: teacher-1',
    });
    expect(take(members, {})).toMatchObject({ name: 'cnn-s-1' });
    expect(takePlace(new Map(), places, hello)).toEqual({ refused: 'the run has no teachers' });
  });

  it('cannot be taken by their name in the other part, before or after somebody has come', () => {
    const wrong = {
      refused: '"teacher-1" is the place of a teacher, and this one says that it is a student',
    };
    expect(take(new Map(), { name: 'teacher-1' })).toEqual(wrong);
    const members: Members = new Map();
    admit(members, 'alice', 'cnn-s', { ...anonymous, role: 'teacher' }, 0);
    expect(take(members, { name: 'alice' })).toEqual({
      refused: '"alice" is a teacher, and this one says that it is a student',
    });
    expect(take(members, { name: 'alice', role: 'teacher' })).toEqual({ name: 'alice', model: 'cnn-s' });
  });
});
