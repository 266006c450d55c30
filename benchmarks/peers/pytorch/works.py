"""What PyTorch makes of each work of benchmarks/src/work.ts."""

import torch
import torch.nn.functional as F

from models import cnn_step, language_model_step

DTYPES = {"float32": torch.float32, "tf32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
TRAINED_STEPS = 3


class Prepared:
    """`queue` does the work once and does not wait; with `queue_only`, waiting is not part of the time."""

    def __init__(self, queue, result, iterations, queue_only=False, parts=None):
        self.iterations = iterations
        self.result = result
        self.run = self.repeated(queue, wait=not queue_only)
        self.settle = torch.cuda.synchronize if queue_only else None
        self.parts = {name: self.repeated(part, wait=True) for name, part in (parts or {}).items()}

    def repeated(self, queue, wait):
        def run():
            for _ in range(self.iterations):
                queue()
            if wait:
                torch.cuda.synchronize()

        return run


def prepare(work, operands, device, compiled, iterations):
    """A Prepared, or a string that says why there is none."""
    precision = work.get("precision", "float32")
    set_precision(precision)
    optimized = (lambda f: torch.compile(f, dynamic=False)) if compiled else (lambda f: f)
    kind = work["kind"]
    if kind in ("trainStep", "languageModel"):
        make = cnn_step if kind == "trainStep" else language_model_step
        step = make(work, operands, device, optimized)
        return Prepared(step, lambda: losses(step), iterations)
    if kind == "replay":
        return replay(work, operands, device, compiled, iterations)
    if kind == "upload":
        return uploads(work, operands, device, optimized, iterations)
    return computation(work, operands, device, optimized, iterations)


def set_precision(precision):
    """float32 products are those of IEEE 754 unless the work says tf32, and sums of 16-bit products are float32."""
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    torch.backends.cudnn.benchmark = True  # it tries its algorithms in the warm-up


def losses(step):
    return torch.tensor([step().item() for _ in range(TRAINED_STEPS)], dtype=torch.float32)


def computation(work, operands, device, optimized, iterations):
    layout = layout_of(work)
    tensors = [layout(x.to(device).to(DTYPES[work.get("precision", "float32")])) for x in operands.values()]
    forward = optimized(operation(work))

    def compute():
        with torch.no_grad():
            return [forward(*tensors)]

    def compute_with_gradients():
        *inputs, gradient = tensors
        y = forward(*inputs)
        return [y, *torch.autograd.grad(y, inputs, gradient)]

    run = compute
    if work.get("gradients"):
        run = compute_with_gradients
        for x in tensors[:-1]:
            x.requires_grad_()
    return Prepared(run, lambda: on_host(run()), iterations)


def on_host(tensors):
    """The results one after the other, as float32."""
    return torch.cat([x.detach().float().contiguous().flatten().cpu() for x in tensors])


def layout_of(work):
    """The form in which PyTorch is at its best, where it is not that of the reference."""
    if work["kind"] == "attention":
        return lambda x: x.unsqueeze(0)  # its fused kernels want (batch, heads, length, size)
    if work["kind"] == "conv" and work.get("precision") == "float16":
        return lambda x: x.contiguous(memory_format=torch.channels_last)  # that of tensor cores
    return lambda x: x


def operation(work):
    """The operation as a function of its operands, in the order of their recipes."""
    return {
        "matmul": torch.matmul,
        "firstResult": torch.matmul,
        "scaleAdd": lambda x: x * 2 + 1,
        "chain": chain,
        "sum": torch.sum,
        "softmax": lambda x: torch.softmax(x, -1),
        "layerNorm": lambda x, weight, bias: F.layer_norm(x, weight.shape, weight, bias),
        "conv": lambda x, weight: F.conv2d(x, weight, padding=1),
        "attention": F.scaled_dot_product_attention,
    }[work["kind"]]


def chain(x):
    y = torch.tanh(x * 1.5 + 0.5)
    z = torch.sqrt(y * y + 1)
    return torch.clamp(torch.exp(z - 0.25) * 0.125, min=0.25)


def replay(work, operands, device, compiled, iterations):
    """A CUDA graph of the kernels, which is what a plan that is replayed becomes in the other library."""
    if compiled:
        return "it would make one kernel of them all"
    x = operands["x"].to(device)

    def kernels():
        y = x
        for _ in range(work["kernels"]):
            y = torch.tanh(y)
        return y

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        kernels()  # what is loaded and set up at first use cannot be captured
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        y = kernels()

    def result():
        graph.replay()
        return y.cpu()

    return Prepared(graph.replay, result, iterations, queue_only=work.get("queueOnly", False))


def uploads(work, operands, device, optimized, iterations):
    """Batches come from pinned memory on a stream of their own, as from a loader that reads ahead."""
    batch = operands["x"].pin_memory()
    weight = operands["weight"].to(device)
    kept = operands["x"].to(device)
    copies = torch.cuda.Stream()

    @torch.no_grad()
    def products(x):
        for _ in range(work["products"]):
            x = torch.tanh(torch.matmul(x, weight))
        return x

    step = optimized(products)

    def upload():
        with torch.cuda.stream(copies):
            return batch.to(device, non_blocking=True)

    def both():
        for _ in range(work["count"]):
            x = upload()
            torch.cuda.current_stream().wait_stream(copies)
            x.record_stream(torch.cuda.current_stream())
            step(x)

    def uploads_alone():
        for _ in range(work["count"]):
            upload()

    def work_alone():
        for _ in range(work["count"]):
            step(kept)

    parts = {"uploads": uploads_alone, "work": work_alone}
    return Prepared(both, lambda: step(kept).flatten().cpu(), iterations, parts=parts)
