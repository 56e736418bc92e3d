"""One training step in PyTorch: the opponent of trainingStep.ts, which starts this program and speaks with it.

    python training_step.py THREADS {contiguous,channels_last}

It answers each line of JSON on stdin with one line on stdout. {"load": FILE, "model": NAME} makes a model with the weights
of a safetensors file, and takes its images and labels; {"model": NAME, "steps": N} trains N steps and gives the
milliseconds, loss and logits of each.

The models are those of src/models, layer by layer, with the same names of parameters.
"""

import json
import struct
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

SGD = {"lr": 0.01, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}


class CnnS(nn.Module):
    """src/models/cnnS.ts"""

    def __init__(self, channels, classes, side):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.fc1 = nn.Linear((side // 4) ** 2 * 32, 64)
        self.fc2 = nn.Linear(64, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


def conv(inputs, outputs, kernel, stride=1):
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


class BasicBlock(nn.Module):
    """src/models/resnet.ts"""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = conv(inputs, outputs, 3, stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = conv(outputs, outputs, 3)
        self.bn2 = nn.BatchNorm2d(outputs)
        if stride > 1 or inputs != outputs:
            self.downsample = nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))
        else:
            self.downsample = None

    def forward(self, x):
        inner = F.relu(self.bn1(self.conv1(x)))
        residual = self.bn2(self.conv2(inner))
        return F.relu(residual + (self.downsample(x) if self.downsample else x))


def stage(block, blocks, inputs, outputs, stride):
    first = block(inputs, outputs, stride)
    return [first, *(block(outputs, outputs, 1) for _ in range(blocks - 1))]


class ResNet(nn.Module):
    """src/models/resnet.ts"""

    def __init__(self, depth, channels, classes):
        super().__init__()
        blocks = (depth - 2) // 6
        self.conv1 = conv(channels, 16, 3)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(*stage(BasicBlock, blocks, 16, 16, 1))
        self.layer2 = nn.Sequential(*stage(BasicBlock, blocks, 16, 32, 2))
        self.layer3 = nn.Sequential(*stage(BasicBlock, blocks, 32, 64, 2))
        self.fc = nn.Linear(64, classes)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


class PreactivationBlock(nn.Module):
    """src/models/wideResnet.ts"""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = conv(inputs, outputs, 3, stride)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = conv(outputs, outputs, 3)
        self.convShortcut = conv(inputs, outputs, 1, stride) if inputs != outputs else None

    def forward(self, x):
        activated = F.relu(self.bn1(x))
        inner = F.relu(self.bn2(self.conv1(activated)))
        return self.conv2(inner) + (self.convShortcut(activated) if self.convShortcut else x)


class WideStage(nn.Module):
    def __init__(self, blocks, inputs, outputs, stride):
        super().__init__()
        self.layer = nn.Sequential(*stage(PreactivationBlock, blocks, inputs, outputs, stride))

    def forward(self, x):
        return self.layer(x)


class WideResNet(nn.Module):
    """src/models/wideResnet.ts"""

    def __init__(self, depth, widening, channels, classes):
        super().__init__()
        blocks = (depth - 4) // 6
        widths = [16 * widening, 32 * widening, 64 * widening]
        self.conv1 = conv(channels, 16, 3)
        self.block1 = WideStage(blocks, 16, widths[0], 1)
        self.block2 = WideStage(blocks, widths[0], widths[1], 2)
        self.block3 = WideStage(blocks, widths[1], widths[2], 2)
        self.bn1 = nn.BatchNorm2d(widths[2])
        self.fc = nn.Linear(widths[2], classes)

    def forward(self, x):
        x = self.block3(self.block2(self.block1(self.conv1(x))))
        return self.fc(F.adaptive_avg_pool2d(F.relu(self.bn1(x)), 1).flatten(1))


def create_model(name, channels, classes, side):
    if name == "cnn-s":
        return CnnS(channels, classes, side)
    if name == "resnet8":
        return ResNet(8, channels, classes)
    if name == "wrn-16-2":
        return WideResNet(16, 2, channels, classes)
    raise ValueError(f"no model {name}")


def read_safetensors(path):
    """Tensors by name, float32 or int32, as src/training/safetensors.ts writes them."""
    with open(path, "rb") as file:
        content = bytearray(file.read())
    start = 8 + struct.unpack_from("<Q", content)[0]
    header = json.loads(content[8:start])
    types = {"F32": torch.float32, "I32": torch.int32}
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            data = torch.frombuffer(content[start + begin : start + end], dtype=types[entry["dtype"]])
            tensors[name] = data.reshape(entry["shape"])
    return tensors


def from_here(name, weight, shape):
    """A weight of TensorFlow's layout in PyTorch's (src/models/README.md, "Weights")."""
    if weight.dim() == 4:
        return weight.permute(3, 2, 0, 1)
    if weight.dim() == 2:
        if name == "fc1.weight":  # its inputs are maps of 32 channels, flattened: height, width, channels
            side = int((shape[1] // 32) ** 0.5)
            weight = weight.reshape(side, side, 32, -1).permute(2, 0, 1, 3).reshape(shape[1], -1)
        return weight.t()
    return weight


class Training:
    """A model, its optimizer, and the batch that it is trained on."""

    def __init__(self, name, path, layout):
        tensors = read_safetensors(path)
        images = tensors.pop("images")
        self.labels = tensors.pop("labels").long()
        _, side, _, channels = images.shape
        model = create_model(name, channels, int(self.labels.max()) + 1, side)
        state = model.state_dict()
        weights = {key: from_here(key, value, state[key].shape) for key, value in tensors.items()}
        missing, unexpected = model.load_state_dict(weights, strict=False)
        missing = [key for key in missing if not key.endswith("num_batches_tracked")]
        if missing or unexpected:
            raise ValueError(f"{name}: missing {missing}, unexpected {unexpected}")
        images = images.permute(0, 3, 1, 2)
        self.model = model.to(memory_format=layout).train()
        self.images = images.contiguous(memory_format=layout)
        self.optimizer = torch.optim.SGD(self.model.parameters(), **SGD)

    @property
    def parameters(self):
        return sum(parameter.numel() for parameter in self.model.parameters())

    def step(self):
        started = time.perf_counter()
        logits = self.model(self.images)
        loss = F.cross_entropy(logits, self.labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return (time.perf_counter() - started) * 1000, loss.item(), logits


def main():
    threads, layout = int(sys.argv[1]), getattr(torch, f"{sys.argv[2]}_format" if sys.argv[2] == "contiguous" else sys.argv[2])
    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    trainings = {}
    for line in sys.stdin:
        request = json.loads(line)
        name = request["model"]
        if "load" in request:
            trainings[name] = Training(name, request["load"], layout)
            answer = {"parameters": trainings[name].parameters}
        else:
            steps = [trainings[name].step() for _ in range(request["steps"])]
            answer = {
                "milliseconds": [milliseconds for milliseconds, _, _ in steps],
                "losses": [loss for _, loss, _ in steps],
                "logits": steps[0][2].flatten().tolist(),
            }
        print(json.dumps({"device": f"PyTorch {torch.__version__}", **answer}), flush=True)


main()
