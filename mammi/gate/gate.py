"""The gate: what is known of a dissector's weights before its annotations count."""
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from mammi.errors import BadInput, near, number
from mammi.files import digest
from mammi.gate import geometry, words, zero_shot
from mammi.gate.golden import golden, read
from mammi.gate.sample import PROBED, PROBES, Sample
from mammi.precision import full_precision
from mammi.sources import code
from mammi.types import VERDICTS, Check, Verdict

LIBRARIES = ("torch", "torchvision", "transformers", "sentence-transformers", "timm", "open_clip_torch", "pillow",
             "numpy")  # another version may embed otherwise: then the questions are asked anew
DIRECT = 8  # images and texts that pass through the dissector a second time


class Gate:
    """Questions to a dissector, and a verdict in one word.

    ``failed``      a decisive question is answered wrongly: the words mean nothing on these images
    ``verified``    its golden embeddings are met, so these are the weights and the preprocessing that they were
                    written down with; and its words rank the labelled images
    ``plausible``   its words rank the labelled images (or find their sentences), but no golden embeddings are known
    ``unverified``  nothing is wrong, and nothing shows that its words mean anything here

    allow         verdicts that a run may go on with; else :class:`BadInput`
    images        at most so many images, one of each patient, evenly over the probing set
    words         at most so many of the concept set's
    permutations  of the null of the zero-shot AUROC; at least 1,000 for p-values of .001
    p, least_auroc  see :func:`mammi.gate.zero_shot.labels`
    tolerance     of a golden embedding's components
    golden        ``golden.json`` of a run with the same weights that is trusted (of the authors' package, say); None:
                  what the weights' own card says
    seed          of the permutations

    The answers lie in the cache, by the content of all that they depend on.
    """

    def __init__(self, allow=VERDICTS, images=512, words=500, permutations=1000, p=.01, least_auroc=.55,
                 tolerance=1e-3, golden=None, seed=0):
        self.allow = (allow,) if isinstance(allow, str) else tuple(allow)
        if unknown := [name for name in self.allow if name not in VERDICTS]:
            raise BadInput(f"gate.allow: {unknown[0]} is no verdict. {near(str(unknown[0]), VERDICTS)}")
        self.images = number("gate.images", images, 20, 4096, whole=True)
        self.words = number("gate.words", words, 2, whole=True)
        self.permutations = number("gate.permutations", permutations, 100, 100_000, whole=True)
        self.p, self.least_auroc = number("gate.p", p, 0, 1), number("gate.least_auroc", least_auroc, 0, 1)
        self.tolerance, self.seed = number("gate.tolerance", tolerance, 0, 1), number("gate.seed", seed, 0, whole=True)
        self.known = None if golden is None else read(golden)

    def __call__(self, evidence):
        """:class:`mammi.types.Verdict` on ``evidence.dissector``; :class:`BadInput` where it is not allowed."""
        sample = Sample(evidence, self.images, self.words)
        found = evidence.cache.json("gate", self._inputs(sample), lambda: self.ask(sample))
        verdict = judge([Check(*answer) for answer in found["checks"]])._replace(golden=found["golden"])
        if verdict.name not in self.allow:
            raise BadInput(refusal(verdict, evidence, self.allow))
        return verdict

    def needs(self, evidence):
        """(positions of the images, texts) that the questions embed, for a forecast."""
        sample = Sample(evidence, self.images, self.words)
        return sample.positions, sample.texts

    def ask(self, sample):
        """{"checks": [:class:`Check`] of all questions, "golden": what the dissector gives now}."""
        dissector = sample.evidence.dissector
        now = dissector.golden()
        known, source = (dissector.known, "the weights' card") if self.known is None else (self.known, "gate.golden")
        checks = [keys(dissector), golden(now, known, self.tolerance, source)]
        try:
            checks += _space(sample)
            if not failed(checks[2:]):
                checks += [*self._ranking(sample), *_words(sample)]
        except BadInput as error:  # such as a vector without direction: the run will not get far with them, either
            checks.append(Check("embeddings", "fail", f"there are none: {error}", True))
        return {"checks": checks, "golden": now}

    def _inputs(self, sample):
        """What the answers depend on, JSON-able."""
        evidence, images = sample.evidence, sample.evidence.images
        modules = ["mammi.gate.gate", "mammi.dissector.base", type(evidence.dissector).__module__]
        truth = [] if sample.truth is None else [sample.truth]
        known = evidence.dissector.known if self.known is None else self.known
        return {"code": digest(code(modules)), "libraries": _versions(),
                "dissector": [evidence.dissector.name, evidence.dissector.fingerprint, evidence.dissector.tensors,
                              str(getattr(evidence.dissector, "device", ""))],  # numbers differ a little between them
                "golden": digest(known), "images": digest([images.keys[i] for i in sample.positions]),
                "labels": digest(sample.names, *truth), "sentences": digest(sample.described[1]),
                "template": sample.template, "words": digest(sample.words),
                "settings": [self.permutations, self.p, self.least_auroc, self.tolerance, self.seed]}

    def _ranking(self, sample):
        """Checks of labels and sentences; sentences decide where no label can be judged."""
        rng = np.random.default_rng(self.seed)
        options = self.permutations, self.p
        ranked = Check("zero-shot", "unknown", f"{sample.evidence.images.name} has no labels")
        if sample.truth is not None:
            scores = sample.scores(sample.prompts(sample.names))
            foils = None
            if sample.foils and len(zero_shot.judgeable(sample.truth)) < zero_shot.NAMES:
                foils = sample.scores(sample.prompts(sample.foils))
            ranked = zero_shot.labels(scores, sample.truth, sample.names, *options, self.least_auroc, rng, foils)
        yield ranked
        at, texts = sample.described
        if sample.evidence.images.texts is None:
            yield Check("retrieval", "unknown", f"{sample.evidence.images.name} has no sentences")
        else:
            scores = sample.scores(texts, at) if texts else np.zeros((0, 0))
            yield zero_shot.sentences(scores, texts, *options, self.least_auroc, ranked.state == "unknown", rng)


def keys(dissector):
    """:class:`Check`: every key of the files has a place. The loaders raise where not; here it is written down."""
    n = dissector.tensors
    if not n:
        return Check("keys", "unknown", "no file of weights was read by our loaders")
    return Check("keys", "pass", f"{n:,} tensors were filled from files, with none missing and none left over",
                 numbers={"tensors": n})


def _space(sample):
    """Checks of the embeddings themselves, or of a scorer's scores."""
    evidence, prompts = sample.evidence, sample.prompts(sample.words)
    if not sample.embeds:
        return [geometry.score_spread(sample.scores(prompts, sample.few))]
    rows = {"image": evidence.image_embeddings(sample.positions), "text": evidence.text_embeddings(prompts)}
    with full_precision():
        direct = {"image": evidence.dissector.embed_images(evidence.images.load(sample.positions[:DIRECT])),
                  "text": evidence.dissector.embed_texts(prompts[:DIRECT])}
    return [check for what in rows for check in (
        geometry.norms(direct[what], rows[what][:DIRECT], what), geometry.spread(rows[what], what),
        geometry.anisotropy(rows[what], what))]


def _words(sample):
    """Warnings on how words are taken."""
    inside, few = sample.scores(sample.prompts(sample.words), sample.few), sample.few
    yield words.hubness(inside, sample.words)
    bare = sample.scores(sample.words, few) if sample.template else inside
    yield words.template(inside, bare, sample.template)
    some = sample.names or sample.words[:PROBED]
    plain, denied, left, right = ([f"{word} {name}".strip() for name in some] for word in ("", *PROBES))
    yield words.laterality(sample.vectors(left), sample.vectors(right), some)
    scores = sample.scores(plain, few) - sample.scores(denied, few) if sample.names else None
    yield words.negation(sample.vectors(plain), sample.vectors(denied), some, scores,
                         None if scores is None else sample.truth[few])


def judge(checks):
    """:class:`mammi.types.Verdict` of all checks."""
    state = {check.name: check.state for check in checks}
    said = {check.name: check.says for check in checks}
    if wrong := failed(checks):
        says = "; ".join(f"{check.name}: {check.says}" for check in wrong)
        return Verdict("failed", f"{says}. It means: {meaning(checks)}", tuple(checks))
    shown = [name for name in ("zero-shot", "retrieval") if state.get(name) == "pass"]
    if shown and state["golden embeddings"] == "pass":
        name, says = "verified", [said["golden embeddings"], said[shown[0]]]
    elif shown:
        name, says = "plausible", [said[shown[0]], said["golden embeddings"]]
    else:
        name, says = "unverified", [said["zero-shot"], said["golden embeddings"]]
    return Verdict(name, "; ".join(says), tuple(checks))


def failed(checks):
    """Those of ``checks`` that decide and are answered wrongly."""
    return [check for check in checks if check.decisive and check.state == "fail"]


def meaning(checks):
    """What it means that a dissector failed."""
    if any(check.name == "golden embeddings" and check.state == "pass" for check in checks):
        return ("the weights are those that were written down, but their words do not fit these images: they were not "
                "made for them, or the labels are not what the images show")
    return ("other weights than meant, half of them, or other preprocessing; or images and labels that they were not "
            "made for")


def refusal(verdict, evidence, allow):
    """What ``gate=strict`` says: what was found, what it means, what to do."""
    if verdict.name == "failed":
        todo = "fetch the files again and compare their sha256, check view and probing set, or take another dissector"
    else:
        todo = "give probing images with labels (or sentences), or golden embeddings of these weights (gate.golden)"
    return (f"the gate says of {evidence.dissector.name} on {evidence.images.name}: {verdict.name} (allowed: "
            f"{', '.join(allow)}): {verdict.says}. Next: {todo}; to see its words all the same, with the verdict in "
            "every row: gate=report")


def _versions():
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
