import type { DatasetDefinition } from './definition.ts';
import { parseIdxPair } from './parseIdx.ts';
import type { ImageShape } from './types.ts';

const imageShape: ImageShape = [28, 28, 1];

const classNames = [
  'T-shirt/top',
  'Trouser',
  'Pullover',
  'Dress',
  'Coat',
  'Sandal',
  'Shirt',
  'Sneaker',
  'Bag',
  'Ankle boot',
];

/** Fashion-MNIST (Xiao, Rasul and Vollgraf, arXiv 1708.07747): 60,000 + 10,000 grey images of clothes. */
export const fashionMnist: DatasetDefinition = {
  imageShape,
  classNames,
  mean: [0.286],
  std: [0.353],
  files: [
    'train-images-idx3-ubyte.gz',
    'train-labels-idx1-ubyte.gz',
    't10k-images-idx3-ubyte.gz',
    't10k-labels-idx1-ubyte.gz',
  ],
  parse: ([trainImages, trainLabels, testImages, testLabels]) => ({
    train: parseIdxPair(trainImages!, trainLabels!, imageShape, classNames.length),
    test: parseIdxPair(testImages!, testLabels!, imageShape, classNames.length),
  }),
  folderNames: ['fashion-mnist'],
  baseUrl: 'http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/',
  // Sizes and checksums as in TensorFlow Datasets, tensorflow_datasets/url_checksums/fashion_mnist.txt.
  downloads: [
    {
      name: 'train-images-idx3-ubyte.gz',
      bytes: 26_421_880,
      sha256: '3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84',
    },
    {
      name: 'train-labels-idx1-ubyte.gz',
      bytes: 29_515,
      sha256: 'a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845',
    },
    {
      name: 't10k-images-idx3-ubyte.gz',
      bytes: 4_422_102,
      sha256: '346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073',
    },
    {
      name: 't10k-labels-idx1-ubyte.gz',
      bytes: 5_148,
      sha256: '67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5',
    },
  ],
  // Debian's package dataset-fashion-mnist: the same content, recompressed.
  systemFolder: '/usr/share/datasets/fashion-mnist',
  embeddedFolder: 'src/datasets/embedded/fashion-mnist',
};
