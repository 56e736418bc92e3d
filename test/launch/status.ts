import type { PeerStatus, RunStatus } from '../../src/results/types.ts';

/** A peer in training after `step` of 775 steps. */
export function peerAt(step: number, changes: Partial<PeerStatus> = {}): PeerStatus {
  return {
    name: 'peer-1',
    role: 'student',
    model: 'cnn-s',
    backend: 'wasm',
    device: 'wasm SIMD, 1 thread',
    refusedBackends: null,
    connected: true,
    state: 'training',
    step,
    steps: 775,
    loss: 1.2345,
    accuracy: 0.6,
    testAccuracy: null,
    imagesPerSecond: 812.4,
    waitFraction: 0.031,
    collapsed: null,
    quarantined: null,
    ...changes,
  };
}

/** A run of these peers. */
export function statusOf(peers: readonly PeerStatus[], changes: Partial<RunStatus> = {}): RunStatus {
  const rounds = { committed: 0, missed: 0 };
  return {
    run: 'r1',
    method: 'dml',
    phase: 'training',
    waitingFor: null,
    peers,
    rounds,
    seconds: 1,
    ...changes,
  };
}
