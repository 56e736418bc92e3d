import { describe, expect, it } from 'vitest';
import { type PeerGroup, peerNames, placesOf } from '../../src/config/peers.ts';

function namesOf(...groups: (Partial<PeerGroup> & { model: string })[]): string[] {
  const peers = groups.map((group) => ({ count: 1, role: 'student' as const, backend: 'auto', ...group }));
  return peerNames({ peers }).map(({ name }) => name);
}

describe('peerNames', () => {
  it('numbers the peers of each model in the order of the file', () => {
    expect(namesOf({ model: 'cnn-s', count: 2 }, { model: 'resnet8' })).toEqual([
      'cnn-s-1',
      'cnn-s-2',
      'resnet8-1',
    ]);
  });

  it('goes on counting when a model comes again', () => {
    expect(namesOf({ model: 'cnn-s' }, { model: 'lenet5' }, { model: 'cnn-s', backend: 'wasm' })).toEqual([
      'cnn-s-1',
      'lenet5-1',
      'cnn-s-2',
    ]);
  });

  it('makes a name that can name a file from the path of a module', () => {
    expect(namesOf({ model: './my/net.js' }, { model: 'C:\\nets\\wide net.mts' })).toEqual([
      'net-1',
      'wide-net-1',
    ]);
    expect(namesOf({ model: './.ts' }, { model: './模型.js' })).toEqual(['model-1', 'model-2']);
  });

  it("takes a group's own name, numbered when the group has several peers", () => {
    expect(namesOf({ model: 'cnn-s', name: 'alice' }, { model: 'cnn-s', name: 'bob', count: 2 })).toEqual([
      'alice',
      'bob-1',
      'bob-2',
    ]);
  });

  it('carries the model and the backend along', () => {
    const peers = [{ model: './my/net.js', count: 1, role: 'student' as const, backend: 'wasm' }];
    expect(peerNames({ peers })).toEqual([
      { name: 'net-1', model: './my/net.js', role: 'student', backend: 'wasm' },
    ]);
  });

  it('calls teachers after their role, and carries their weights along', () => {
    const teacher = { model: 'resnet14', count: 1, role: 'teacher' as const, backend: 'auto' };
    const peers = [
      { ...teacher, weights: 'runs/one' },
      { ...teacher, name: 'bob' },
    ];
    expect(peerNames({ peers })).toEqual([
      { name: 'teacher-1', model: 'resnet14', role: 'teacher', backend: 'auto', weights: 'runs/one' },
      { name: 'bob', model: 'resnet14', role: 'teacher', backend: 'auto' },
    ]);
  });
});

describe('placesOf', () => {
  const peers = [
    { model: 'resnet14', count: 1, role: 'teacher' as const, backend: 'auto' },
    { model: 'resnet8', count: 1, role: 'student' as const, backend: 'auto' },
  ];

  it('is students and teachers where the method asks others, and the students alone where it does not', () => {
    const places = (distill: Parameters<typeof placesOf>[0]['distill']) =>
      placesOf({ peers, distill }).map(({ name }) => name);
    expect(places({ method: 'kd' })).toEqual(['teacher-1', 'resnet8-1']);
    expect(places({ method: 'self-ema' })).toEqual(['resnet8-1']);
    const methods = [{ name: 'label-smoothing' }, { name: 'kd' }];
    expect(places({ method: 'independent', methods })).toEqual(['teacher-1', 'resnet8-1']);
  });
});
