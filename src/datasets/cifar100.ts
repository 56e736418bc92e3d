import { parseCifar } from './cifar.ts';
import type { DatasetDefinition } from './definition.ts';

const layout = { labelBytes: 2, classes: 100 } as const;

/** The fine labels, alphabetically as in the archive's fine_label_names.txt. */
const classNames = `
  apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle
  bowl boy bridge bus butterfly camel can castle caterpillar cattle
  chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur
  dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard
  lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain
  mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree
  plain plate poppy porcupine possum rabbit raccoon ray road rocket
  rose sea seal shark shrew skunk skyscraper snail snake spider
  squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor
  train trout tulip turtle wardrobe whale willow_tree wolf woman worm`
  .trim()
  .split(/\s+/);

/** CIFAR-100 (Krizhevsky, 2009), binary version with fine labels: 50,000 + 10,000 colour images. */
export const cifar100: DatasetDefinition = {
  imageShape: [32, 32, 3],
  classNames,
  mean: [0.5071, 0.4867, 0.4408],
  std: [0.2675, 0.2565, 0.2761],
  files: ['train.bin', 'test.bin'],
  parse: ([train, test]) => ({ train: parseCifar([train!], layout), test: parseCifar([test!], layout) }),
  folderNames: ['cifar-100', 'cifar-100-binary'],
  baseUrl: 'https://www.cs.toronto.edu/~kriz/',
  // Size and checksum as in TensorFlow Datasets, tensorflow_datasets/url_checksums/cifar100.txt.
  downloads: [
    {
      name: 'cifar-100-binary.tar.gz',
      bytes: 168_513_733,
      sha256: '58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec',
    },
  ],
};
