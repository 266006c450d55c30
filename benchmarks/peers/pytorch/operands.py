"""The operands of a work, from the recipes of benchmarks/src/operands.ts: the same numbers, to the last bit."""

MASK = 0xFFFFFFFF
CHUNK = 1 << 24


def make_operands(torch, recipes, device):
    """Tensors on the host by name: float32, and int64 where the numbers are a cycle. They are computed on the device."""
    return {recipe["name"]: values(torch, recipe, device).reshape(recipe["shape"]).cpu() for recipe in recipes}


def values(torch, recipe, device):
    length = 1
    for extent in recipe["shape"]:
        length *= extent
    if recipe["fill"] == "cycle":
        i = torch.arange(length, device=device)
        return (recipe["first"] + i * recipe["step"]) % recipe["modulo"]
    result = torch.empty(length, device=device)
    for start in range(0, length, CHUNK):
        count = min(CHUNK, length - start)
        numbers = uniform(torch, recipe["start"] + start, count, device)
        result[start : start + count] = (recipe["offset"] + recipe["scale"] * numbers).float()
    return result


def uniform(torch, start, count, device):
    """Numbers of a sequence in [-1, 1) (mulberry32, whose state is a counter). 64 bits hold what 32-bit words come to."""
    i = torch.arange(start + 1, start + 1 + count, dtype=torch.int64, device=device)
    state = (1 + i * 0x6D2B79F5) & MASK
    bits = ((state ^ (state >> 15)) * (state | 1)) & MASK
    bits = bits ^ ((bits + ((bits ^ (bits >> 7)) * (bits | 61))) & MASK)
    return (bits ^ (bits >> 14)).double() / 2**31 - 1
