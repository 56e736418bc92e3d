import * as tf from '@tensorflow/tfjs';

/** One attribute of an operation of TensorFlow, as the binding takes it. */
interface Attribute {
  readonly name: string;
  readonly type: number | undefined;
  readonly value: number | string | boolean | undefined;
}

/** The part of the package's backend that is used here. */
interface NodeBackend {
  readonly binding: Readonly<Record<string, number>>;
  executeSingleOutput(name: string, attributes: readonly Attribute[], inputs: tf.TensorInfo[]): tf.Tensor;
  executeMultipleOutputs(
    name: string,
    attributes: readonly Attribute[],
    inputs: tf.TensorInfo[],
    outputs: number,
  ): tf.Tensor[];
}

type Run = (
  backend: NodeBackend,
  inputs: Record<string, tf.TensorInfo>,
  attrs: unknown,
  /** Runs the package's own kernel of that name. */
  stock: () => tf.TensorInfo | tf.TensorInfo[],
) => tf.TensorInfo | tf.TensorInfo[];

/**
 * The step function, which is the gradient of relu: 1 where `x` is positive, else 0. The package composes it of five
 * operations, one of which writes a whole tensor of zeros; it takes ten times as long.
 */
const step: Run = (backend, { x }, attrs, stock) => {
  if ((attrs as tf.StepAttrs | undefined)?.alpha) return stock();
  const attributes = [typeAttribute(backend, 'T')];
  const rectified = backend.executeSingleOutput('Relu', attributes, [x!]);
  const sign = backend.executeSingleOutput('Sign', attributes, [rectified]);
  rectified.dispose();
  return sign;
};

/** Whether each output of a pooling has a 2x2 window of its own. */
function isQuarter({ shape: [, height, width] }: tf.TensorInfo, attrs: unknown): boolean {
  const { filterSize, strides } = attrs as tf.MaxPoolGradAttrs;
  const isTwo = (size: number | readonly number[]): boolean => [size].flat().every((each) => each === 2);
  return isTwo(filterSize) && isTwo(strides) && height! % 2 === 0 && width! % 2 === 0;
}

/**
 * The gradient of max pooling over 2x2 windows that do not overlap, from element-wise operations on the four quarters of
 * the input; of several equal elements, the first has it all. TensorFlow's own looks for each maximum anew, one by one.
 */
function quarterPoolGrad(x: tf.Tensor4D, y: tf.Tensor4D, dy: tf.Tensor4D): tf.Tensor {
  const [batch, height, width, channels] = x.shape;
  const pairs = tf.reshape(x, [batch, height / 2, 2, width * channels]);
  const rows = tf
    .split(pairs, 2, 2)
    .map((row) => tf.reshape(row, [batch, height / 2, width / 2, 2 * channels]));
  let open: tf.Tensor | undefined;
  const quarters = rows
    .flatMap((row) => tf.split(row, 2, 3))
    .map((quarter) => {
      const equal = tf.equal(quarter, y);
      const hit = open ? tf.logicalAnd(equal, open) : equal;
      open = open ? tf.logicalAnd(open, tf.logicalNot(hit)) : tf.logicalNot(hit);
      return tf.mul(dy, tf.cast(hit, 'float32'));
    });
  const gradients = [quarters.slice(0, 2), quarters.slice(2)].map((pair) =>
    tf.reshape(tf.concat(pair, 3), [batch, height / 2, 1, width * channels]),
  );
  return tf.reshape(tf.concat(gradients, 2), x.shape);
}

const maxPoolGrad: Run = (_backend, { input, output, dy }, attrs, stock) =>
  isQuarter(input!, attrs)
    ? tf.tidy(() => quarterPoolGrad(input as tf.Tensor4D, output as tf.Tensor4D, dy as tf.Tensor4D))
    : stock();

/** See `BATCH_NORM` in `src/models/batchNorm.ts`. */
const batchNormTraining: Run = (backend, { x, gamma, beta }, attrs) => {
  const none = tf.tensor1d([], 'float32');
  const inputs = [x!, gamma!, beta!, none, none];
  const outputs = backend.executeMultipleOutputs('FusedBatchNormV3', attributesOf(backend, attrs), inputs, 6);
  none.dispose();
  return outputs;
};

const batchNormTrainingGrad: Run = (backend, { dy, x, gamma, saved0, saved1, saved2 }, attrs) => {
  const inputs = [dy!, x!, gamma!, saved0!, saved1!, saved2!];
  const attributes = attributesOf(backend, attrs);
  const outputs = backend.executeMultipleOutputs('FusedBatchNormGradV3', attributes, inputs, 5);
  tf.dispose(outputs.slice(3));
  return outputs.slice(0, 3);
};

function typeAttribute({ binding }: NodeBackend, name: string): Attribute {
  return { name, type: binding.TF_ATTR_TYPE, value: binding.TF_FLOAT };
}

function attributesOf(backend: NodeBackend, attrs: unknown): Attribute[] {
  const { TF_ATTR_FLOAT, TF_ATTR_STRING, TF_ATTR_BOOL } = backend.binding;
  return [
    typeAttribute(backend, 'T'),
    typeAttribute(backend, 'U'),
    { name: 'epsilon', type: TF_ATTR_FLOAT, value: (attrs as { epsilon: number }).epsilon },
    { name: 'data_format', type: TF_ATTR_STRING, value: 'NHWC' },
    { name: 'is_training', type: TF_ATTR_BOOL, value: true },
  ];
}

/**
 * Puts kernels in front of what the package composes of many operations. Does nothing the second time.
 *
 * @param onGpu a GPU pools backwards fast, and would have to start many small kernels instead of one
 */
export function registerTensorflowKernels({ onGpu }: { readonly onGpu: boolean }): void {
  if (tf.getKernel('BatchNormTraining', 'tensorflow')) return;
  const kernels = {
    [tf.Step]: step,
    ...(onGpu ? {} : { [tf.MaxPoolGrad]: maxPoolGrad }),
    BatchNormTraining: batchNormTraining,
    BatchNormTrainingGrad: batchNormTrainingGrad,
  };
  for (const [kernelName, run] of Object.entries(kernels)) {
    const stock = tf.getKernel(kernelName, 'tensorflow') as tf.KernelConfig | undefined;
    if (stock) tf.unregisterKernel(kernelName, 'tensorflow');
    tf.registerKernel({
      kernelName,
      backendName: 'tensorflow',
      kernelFunc: (call) =>
        run(call.backend as NodeBackend, call.inputs as Record<string, tf.TensorInfo>, call.attrs, () =>
          stock!.kernelFunc(call),
        ),
    });
  }
}
