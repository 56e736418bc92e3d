import * as tf from '@tensorflow/tfjs';
import type { Model, ModelOptions } from './types.ts';

/**
 * A model made with the layers of TensorFlow.js, as a {@link Model} without features. The model must take one batch of
 * images and give logits: no softmax at its end. It is owned by the result, which disposes of it.
 *
 * Weights are named by the position of their layer and their own name (`0.kernel`, `1.moving_mean`), since the names
 * TensorFlow.js gives to layers count on from model to model.
 */
export function fromLayersModel(
  name: string,
  layers: tf.LayersModel,
  { inputShape, classes }: ModelOptions,
): Model {
  const parameters = new Map<string, tf.Variable>();
  const buffers = new Map<string, tf.Variable>();
  for (const [i, layer] of layers.layers.entries()) {
    for (const weight of layer.trainableWeights) add(parameters, `${i}.${ownName(weight)}`, weight);
    for (const weight of layer.nonTrainableWeights) add(buffers, `${i}.${ownName(weight)}`, weight);
  }
  return {
    name,
    inputShape,
    classes,
    parameters,
    buffers,
    forward: (images, training) => ({
      logits: tf.tidy(() => layers.apply(images, { training }) as tf.Tensor2D),
      features: {},
    }),
    dispose: () => {
      layers.dispose();
    },
  };
}

type LayerWeight = tf.LayersModel['weights'][number];

/** `kernel` of `dense_Dense1/kernel`. */
const ownName = ({ originalName }: LayerWeight): string => originalName.split('/').at(-1)!;

/** Adds the variable itself, not a copy; a nested model may hold several weights of one name, which are numbered. */
function add(to: Map<string, tf.Variable>, name: string, weight: LayerWeight): void {
  let free = name;
  for (let i = 1; to.has(free); i++) free = `${name}_${i}`;
  to.set(free, weight.read() as tf.Variable);
}
