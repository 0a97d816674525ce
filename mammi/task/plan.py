"""Before a long run: which passes it needs, and what they will cost in time, memory and disk, measured here and now."""
import shutil

from mammi.cache import LARGE, Cache
from mammi.evidence import Evidence
from mammi.task.plan_sample import Sample
from mammi.task.plan_view import summarise

MAPPED = ("activations", "selected", "image embeddings")  # arrays that lie in files of the cache where large
KEY = 32            # bytes beside each row of the cache
ENOUGH = 1.1        # free disk over what is written, below which there is a warning


def plan(target, probing_set, concept_set, dissector, selection, method, cache, batch_size, out, gate=None):
    """Forecast ``task=annotate`` with the same options: print it, leave ``plan.json`` in ``out``, return its facts.

    What the cache holds is counted exactly. Seconds are those of a few batches now, decoding and forward pass one after
    the other. Which images the dissector must see follows from the selection: exact where all activations are cached
    or every image is needed, else an estimate from the measured images. Nothing is computed into the cache but the
    concept set; evaluation, pictures, and the gate of a dissector that only scores are not forecast.
    """
    concepts = concept_set.load(cache)
    evidence = Evidence(target, probing_set, concepts, dissector, selection, _Asking(cache.root), batch_size)
    prompts = _prompts(method, probing_set.template, concepts.words)
    lacking = {"target": _missing(lambda: evidence.activations)}
    if dissector.embeds:
        lacking |= {"images": _missing(evidence.image_embeddings),
                    "texts": _missing(lambda: evidence.text_embeddings(prompts))}
    sample = Sample(evidence, prompts, lacking)
    sizes = {"images": len(probing_set), "neurons": len(evidence.neurons), "concepts": len(concepts),
             "dimensions": sample.dimensions}
    passes = _passes(evidence, method, prompts, lacking, sample)
    if gate and dissector.embeds and getattr(method, "asks_dissector", True):
        passes |= _gate(gate, evidence, sample)
    memory = _memory(sizes, passes, sample, target.activation)
    facts = {**sizes, "names": {"target": target.name, "layer": target.layer, "probing_set": probing_set.name,
                                "concept_set": concepts.name, "dissector": dissector.name},
             "passes": passes, "memory": memory, "disk": _disk(passes, memory, cache.root),
             "seconds": sum(step["seconds"] for step in passes.values()),
             "measured": {"images": len(sample.images), "texts": sample.texts, "batch_size": batch_size,
                          "seconds": sample.seconds}}
    out.json("plan.json", facts)
    summarise(facts, out.path)
    return facts


class _Lacking(Exception):
    """Rows that the cache does not hold: ``args[0]`` of them."""


class _Asking(Cache):
    """A cache that tells how many rows are missing where a cache would have them computed."""

    def rows(self, tables, keys, compute):
        if missing := self.lacking(tables, keys):
            raise _Lacking(missing)
        return super().rows(tables, keys, compute)

    fill = rows


def _missing(ask):
    try:
        ask()
        return 0
    except _Lacking as lacking:
        return lacking.args[0]


def _prompts(method, template, words):
    """The texts that a method asks the dissector about; a control that wraps another method asks what that does."""
    while hasattr(method, "like"):
        method = method.like
    own = getattr(method, "template", None)
    template = template if own is None else own
    return [f"{template} {word}" for word in words] + [template] if template else list(words)


def _passes(evidence, method, prompts, lacking, sample):
    """{"target", "dissector", "texts": {"compute", "least", "of", "basis", "seconds", "bytes"}}.

    ``compute`` rows are planned with, of ``of``; ``least`` is less where it is not known how many there will be.
    """
    images, seconds = len(evidence.images), sample.seconds
    every = any(getattr(part, "needs_every_image", False) for part in (method, evidence.selection))
    reads = lacking["target"]
    least, n, basis = _seen(evidence, every, reads, sample)
    width = sample.dimensions or len(prompts)
    if not evidence.dissector.embeds:
        sees = n if reads else _missing(lambda: evidence.match(prompts))
    elif every:
        sees = lacking["images"]
    elif reads:  # which ones is not known: as many of them are cached as of all
        least, sees = (round(lacking["images"] * some / images) for some in (least, n))
    else:
        sees = _missing(lambda: evidence.image_embeddings(evidence.positions))
    texts = lacking.get("texts", 0)
    decoded = max(sees - reads, 0) if every else sees  # one pass over the images serves both

    def step(compute, of, duration, numbers, basis="exact", least=None):
        least = compute if least is None else min(least, compute)
        return {"compute": compute, "least": least, "of": of, "basis": basis, "seconds": duration,
                "bytes": compute * (4 * numbers + KEY)}

    return {"target": step(reads, images, reads * (seconds["decode"] + seconds["target"]), len(evidence.neurons)),
            "dissector": step(sees, n, decoded * seconds["decode"] + sees * seconds["dissector"], width, basis, least),
            "texts": step(texts, len(prompts), texts * seconds.get("text", 0), sample.width)}


def _gate(gate, evidence, sample):
    """{"gate images", "gate texts"} as in :func:`_passes`; what the method needs as well is computed once."""
    positions, texts = gate.needs(evidence)
    images, words = (_missing(lambda: evidence.image_embeddings(positions)),
                     _missing(lambda: evidence.text_embeddings(texts)))
    seconds, shared = sample.seconds, "at most: what the method needs as well counts once"
    each = {"gate images": (images, len(positions), seconds["decode"] + seconds["dissector"], sample.dimensions),
            "gate texts": (words, len(texts), seconds.get("text", 0), sample.width)}
    return {name: {"compute": n, "least": 0, "of": of, "basis": shared if n else "exact", "seconds": n * one,
                   "bytes": n * (4 * width + KEY)} for name, (n, of, one, width) in each.items()}


def _seen(evidence, every, reads, sample):
    """(least, most images that the dissector must see, how that is known)."""
    images, n = len(evidence.images), len(evidence.neurons)
    if every:
        return images, images, "exact: the method needs every image"
    if not reads:
        n = len(evidence.positions)
        return n, n, "exact: selected by the cached activations"
    k = getattr(evidence.selection, "k", None)
    if k is not None:
        return min(images, k), min(images, k * n), f"{k} images for each of {n} neurons, shared or not"
    some = int(evidence.selection(sample.activations).any(1).sum())
    return some, max(some, round(images * some / len(sample.images))), (
        f"an estimate: of {len(sample.images)} measured images {some} are selected")


def _memory(sizes, passes, sample, activation):
    """Bytes: each array, which of them lie in files, the process's peak so far with models and one batch, the total."""
    images, neurons, concepts = sizes["images"], sizes["neurons"], sizes["concepts"]
    width = sizes["dimensions"] or concepts
    arrays = {"activations": images * neurons * (4 if activation == "logit" else 12), "selected": images * neurons,
              "image embeddings": passes["dissector"]["of"] * width * 4, "scores": neurons * concepts * 4}
    if sizes["dimensions"]:
        arrays["text embeddings"] = passes["texts"]["of"] * (sizes["dimensions"] + sample.width) * 4
    mapped = [name for name in MAPPED if arrays[name] > LARGE]
    peak = _peak()
    return {"arrays": arrays, "in_files": mapped, "process": peak,
            "total": (peak or 0) + sum(size for name, size in arrays.items() if name not in mapped)}


def _peak():
    """Bytes that this process held at most; None where the system does not tell."""
    try:
        import resource
    except ImportError:
        return None
    import sys

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _disk(passes, memory, root):
    """Bytes: rows that stay in the cache, arrays that lie there during the run, what is free; whether it suffices."""
    rows, arrays = sum(p["bytes"] for p in passes.values()), sum(memory["arrays"][name] for name in memory["in_files"])
    free = shutil.disk_usage(next(path for path in (root, *root.absolute().parents) if path.exists())).free
    return {"needed": rows, "during_the_run": arrays, "free": free, "suffices": free > ENOUGH * (rows + arrays)}
