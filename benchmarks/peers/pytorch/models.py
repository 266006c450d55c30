"""Training steps as a user of PyTorch writes them. The names of the parameters are those of the operands."""

import torch
import torch.nn.functional as F
from torch import nn

CNN_RATE = 1e-3
LANGUAGE_MODEL_RATE = 3e-4


def cnn_step(work, operands, device, optimized):
    model = Cnn().to(device)
    images, labels = operands.pop("images").to(device), operands.pop("labels").to(device)
    loss_of = optimized(lambda x, y: F.cross_entropy(model(x), y))
    return training_step(model, operands, CNN_RATE, lambda: loss_of(images, labels))


def language_model_step(work, operands, device, optimized):
    model = Decoder(work).to(device)
    tokens, targets = operands.pop("tokens").to(device), operands.pop("targets").to(device)
    precision = work.get("precision", "float32")

    def forward(x, y):
        # Products round their operands, and norms, sums and the loss stay float32.
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=precision == "bfloat16"):
            return F.cross_entropy(model(x).flatten(0, 1), y.flatten())

    loss_of = optimized(forward)
    return training_step(model, operands, LANGUAGE_MODEL_RATE, lambda: loss_of(tokens, targets))


def training_step(model, parameters, rate, loss_of):
    model.load_state_dict(parameters)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate, fused=True)

    def step():
        loss = loss_of()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss

    return step


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.fc1 = nn.Linear(9216, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv2(F.relu(self.conv1(x)))), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.project = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x):
        x = x + self.out(self.attend(self.norm1(x)))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))

    def attend(self, x):
        batch, length, width = x.shape
        parts = self.project(x).chunk(3, -1)
        q, k, v = (part.view(batch, length, self.heads, width // self.heads).transpose(1, 2) for part in parts)
        joined = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return joined.transpose(1, 2).reshape(batch, length, width)


class Decoder(nn.Module):
    """GPT-2, without dropout. The table of tokens is the last layer as well."""

    def __init__(self, work):
        super().__init__()
        width = work["width"]
        self.tokens = nn.Embedding(work["vocabulary"], width)
        self.positions = nn.Embedding(work["context"], width)
        self.blocks = nn.ModuleList(Block(width, work["heads"]) for _ in range(work["layers"]))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens):
        x = self.tokens(tokens) + self.positions.weight
        for block in self.blocks:
            x = block(x)
        return F.linear(self.norm(x), self.tokens.weight)
