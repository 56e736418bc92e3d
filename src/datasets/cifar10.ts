import { parseCifar } from './cifar.ts';
import type { DatasetDefinition } from './definition.ts';

const layout = { labelBytes: 1, classes: 10 } as const;

/** CIFAR-10 (Krizhevsky, 2009), binary version: 50,000 + 10,000 colour images of animals and vehicles. */
export const cifar10: DatasetDefinition = {
  imageShape: [32, 32, 3],
  classNames: ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck'],
  mean: [0.4914, 0.4822, 0.4465],
  std: [0.247, 0.2435, 0.2616],
  files: [
    'data_batch_1.bin',
    'data_batch_2.bin',
    'data_batch_3.bin',
    'data_batch_4.bin',
    'data_batch_5.bin',
    'test_batch.bin',
  ],
  parse: (files) => ({
    train: parseCifar(files.slice(0, 5), layout),
    test: parseCifar(files.slice(5), layout),
  }),
  folderNames: ['cifar-10', 'cifar-10-batches-bin'],
  baseUrl: 'https://www.cs.toronto.edu/~kriz/',
  // Size and checksum as in TensorFlow Datasets, tensorflow_datasets/url_checksums/cifar10.txt.
  downloads: [
    {
      name: 'cifar-10-binary.tar.gz',
      bytes: 170_052_171,
      sha256: 'c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd',
    },
  ],
};
