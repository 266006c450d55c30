"""The process in which one measurement of PyTorch is made, after which it ends.

Standard input is one line of JSON: the assignment of benchmarks/src/carry-out.ts, with `device` and the recipes of the operands
(benchmarks/src/operands.ts). Standard output is one line of JSON, the answer, where `result` is a number of float32; they follow the line,
in the byte order of the machine.
"""

import ctypes
import json
import os
import sys
import time
import traceback


def main():
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer
    assignment = json.loads(sys.stdin.readline())
    try:
        answer, result = carry_out(assignment)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
        answer, result = {"status": "failed", "reason": reason}, None
    if result is not None:
        answer["result"] = result.numel()
    answers.write(json.dumps(answer).encode() + b"\n")
    if result is not None:
        answers.write(ctypes.string_at(result.data_ptr(), 4 * result.numel()))
    answers.close()


def carry_out(assignment):
    """The answer without the values of the result, and those values or None."""
    start = time.perf_counter()
    try:
        import torch
    except ImportError as error:
        return {"status": "absent", "reason": f"{sys.executable} has no PyTorch: {error}"}, None
    if not torch.cuda.is_available():
        return {"status": "absent", "reason": f"PyTorch {torch.__version__} finds no GPU"}, None
    device = torch.device(device_name(assignment["device"]))
    torch.cuda.set_device(device)
    torch.cuda.synchronize()  # makes the context, which every program has to wait for

    # The other libraries find their operands on the host, so the making of them is not part of any time.
    before = time.perf_counter()
    from operands import make_operands

    operands = make_operands(torch, assignment["operands"], device)
    torch.cuda.synchronize()
    start += time.perf_counter() - before

    from measure import measure
    from works import prepare

    work = assignment["work"]
    compiled = assignment["adapter"] == "torch-compile"
    prepared = prepare(work, operands, device, compiled, assignment["iterations"])
    description = describe(torch, device, compiled)
    if isinstance(prepared, str):
        return {"status": "unsupported", "description": description, "reason": prepared}, None

    # The result comes first: losses are those of a fresh model.
    is_first = work["kind"] == "firstResult"
    answer = {"status": "measured", "description": description}
    result = None
    if is_first or assignment["wantResult"]:
        result = prepared.result()
        answer["first"] = 1000 * (time.perf_counter() - start)
    if is_first:
        answer["samples"] = [answer["first"]]
        return answer, result

    def once(run, settle=None):
        samples = measure(run, settle, assignment["budget"])
        return [sample / prepared.iterations for sample in samples]

    answer["samples"] = once(prepared.run, prepared.settle)
    if prepared.parts:
        answer["parts"] = {name: once(run) for name, run in prepared.parts.items()}
    return answer, result


def device_name(device):
    """`cuda:1` of `cuda:1`, and `cuda:0` of `cuda`."""
    return device if ":" in device else f"{device}:0"


def describe(torch, device, compiled):
    properties = torch.cuda.get_device_properties(device)
    versions = f"PyTorch {torch.__version__}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
    mode = "torch.compile" if compiled else "eager"
    capability = f"compute capability {properties.major}.{properties.minor}"
    return f"{versions}, {properties.name}, {capability}; {mode}; waits by torch.cuda.synchronize"


if __name__ == "__main__":
    main()
