import { describe, expect, it } from 'vitest';
import { explainNoGpu } from '../../../src/backend/tensorflow/noGpu.ts';

/** What TensorFlow writes in front of each line; the place differs by version. */
const line = (level: string, place: string, text: string): string =>
  `2024-07-10 15:08:09.276131: ${level} ${place}] ${text}\n`;

const LOADER = 'tensorflow/stream_executor/platform/default/dso_loader.cc:64';
const found = (name: string): string => line('I', LOADER, `Successfully opened dynamic library ${name}`);
const missing = (name: string): string =>
  line(
    'W',
    LOADER,
    `Could not load dynamic library '${name}'; dlerror: ${name}: cannot open shared object file: No such file or directory; LD_LIBRARY_PATH: /usr/local/nvidia/lib:/usr/local/nvidia/lib64`,
  );
const cannotOpen = (place: string): string =>
  line(
    'W',
    place,
    'Cannot dlopen some GPU libraries. Please make sure the missing libraries mentioned above are installed properly if you would like to use GPU. Follow the guide at https://www.tensorflow.org/install/gpu for how to download and setup the required libraries for your platform.\nSkipping registering GPU devices...',
  );

const explain = (version: string, stderr: string, gpu?: string) => explainNoGpu({ version, stderr, gpu });
const PIP = 'codistill install-tensorflow --pip';

describe('TensorFlow without a GPU', () => {
  it('is told with the libraries that 2.9 does not find, each once, and what to do', () => {
    const stderr = [
      found('libcuda.so.1'),
      missing('libcusolver.so.11'),
      missing('libcudnn.so.8'),
      missing('libcudnn.so.8'),
      cannotOpen('tensorflow/core/common_runtime/gpu/gpu_device.cc:1850'),
      line('I', 'tensorflow/core/platform/cpu_feature_guard.cc:151', 'This TensorFlow binary is optimized'),
    ].join('');
    expect(explain('2.9.1', stderr)).toEqual({
      usable: false,
      reason: 'TensorFlow 2.9.1 does not find libcusolver.so.11, libcudnn.so.8',
      remedy: 'install CUDA 11.8 and cuDNN 8, or: codistill install-tensorflow --pip',
    });
  });

  it.each(['2.12.0', '2.16.2', '2.18.1', '2.21.0'])(
    'is told without their names by %s, which has none',
    (version) => {
      const stderr = [
        line(
          'I',
          'external/local_tsl/tsl/cuda/cudart_stub.cc:31',
          'Could not find cuda drivers on your machine, GPU will not be used.',
        ),
        cannotOpen('tensorflow/core/common_runtime/gpu/gpu_device.cc:2251'),
      ].join('');
      expect(explain(version, stderr)).toEqual({
        usable: false,
        reason: `TensorFlow ${version} does not find all of CUDA's libraries`,
        remedy: PIP,
      });
    },
  );

  it.each([
    [
      '2.9',
      line(
        'E',
        'tensorflow/stream_executor/cuda/cuda_driver.cc:271',
        'failed call to cuInit: CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected',
      ) +
        line(
          'I',
          'tensorflow/stream_executor/cuda/cuda_diagnostics.cc:156',
          'kernel driver does not appear to be running on this host (node-7): /proc/driver/nvidia/version does not exist',
        ),
      'CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected',
    ],
    [
      '2.16',
      line(
        'E',
        'external/local_xla/xla/stream_executor/cuda/cuda_driver.cc:282',
        'failed call to cuInit: CUDA_ERROR_UNKNOWN: unknown error',
      ),
      'CUDA_ERROR_UNKNOWN: unknown error',
    ],
    [
      '2.18',
      `WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n${line(
        'E',
        'external/local_xla/xla/stream_executor/cuda/cuda_driver.cc:152',
        'failed call to cuInit: INTERNAL: CUDA error: Failed call to cuInit: CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected',
      )}`,
      /^INTERNAL: .*CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected$/,
    ],
    [
      '2.21',
      line(
        'E',
        'external/local_xla/xla/stream_executor/cuda/cuda_platform.cc:51',
        'failed call to cuInit: INTERNAL: CUDA error: Failed call to cuInit: UNKNOWN ERROR (303)',
      ),
      /^INTERNAL: .*UNKNOWN ERROR \(303\)$/,
    ],
    [
      'absl',
      'E0000 00:00:1731862554.244962    8139 cuda_platform.cc:51] failed call to cuInit: INTERNAL: CUDA error: Failed call to cuInit: UNKNOWN ERROR (100)\r\n',
      /^INTERNAL: .*UNKNOWN ERROR \(100\)$/,
    ],
  ] as const)('is told when CUDA does not start, as %s says it', (_, stderr, why) => {
    const refused = explain('2.9.1', stderr);
    expect(refused).toEqual({
      usable: false,
      reason: expect.stringMatching(/^CUDA does not start: /),
      remedy: 'see which cards nvidia-smi lists',
    });
    const said = refused.reason.replace('CUDA does not start: ', '');
    if (typeof why === 'string') expect(said).toBe(why);
    else expect(said).toMatch(why);
  });

  it('names the card that was asked for when CUDA does not start with it', () => {
    const stderr = line(
      'E',
      'cuda_driver.cc:271',
      'failed call to cuInit: CUDA_ERROR_INVALID_DEVICE: bad ordinal',
    );
    expect(explain('2.9.1', stderr, '7').reason).toBe(
      'CUDA does not start with card 7: CUDA_ERROR_INVALID_DEVICE: bad ordinal',
    );
  });

  it('is told by the missing library when that is why CUDA does not start', () => {
    const stderr =
      missing('libcudart.so.11.0') +
      line(
        'W',
        'tensorflow/stream_executor/cuda/cuda_driver.cc:269',
        'failed call to cuInit: UNKNOWN ERROR (303)',
      );
    expect(explain('2.9.1', stderr).reason).toBe('TensorFlow 2.9.1 does not find libcudart.so.11.0');
  });

  it.each(['', line('I', 'cpu_feature_guard.cc:210', 'This TensorFlow binary is optimized to use AVX2')])(
    'that says nothing about it was built without CUDA, or sees no card',
    (stderr) => {
      expect(explain('2.21.0', stderr)).toEqual({
        usable: false,
        reason: 'TensorFlow 2.21.0 uses no GPU: it was built without CUDA, or found no card for it',
        remedy: PIP,
      });
    },
  );
});
