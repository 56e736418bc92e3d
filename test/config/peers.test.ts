import { describe, expect, it } from 'vitest';
import { type PeerGroup, peerNames } from '../../src/config/peers.ts';

function namesOf(...groups: (Partial<PeerGroup> & { model: string })[]): string[] {
  const peers = groups.map((group) => ({ count: 1, backend: 'auto', ...group }));
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
    expect(peerNames({ peers: [{ model: './my/net.js', count: 1, backend: 'wasm' }] })).toEqual([
      { name: 'net-1', model: './my/net.js', backend: 'wasm' },
    ]);
  });
});
