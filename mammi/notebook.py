"""The door without Hydra: arrays in, annotations out."""
import numpy as np

from mammi.errors import BadInput
from mammi.matching import check_beta, from_scores, mean_rows, products, unit
from mammi.selection import Adaptive, select


def annotate(activations, image_embeddings, text_embeddings, words, template_embedding=None, alpha=0.93, beta=0.95,
             selection=None):
    """Words for every neuron by MAMMI, Eq. (1) and (2).

    activations         (P, N), any scale; NumPy or torch, as all arrays here
    image_embeddings    (P, D), any norm, same images in the same order
    text_embeddings     (C, D), any norm; of the prompts, e.g. "A chest x-ray image of a effusion"
    words               C words, what the neurons will be called
    template_embedding  (D,) of the prompt without a concept; None leaves the term of Eq. (2) out. It never changes
                        the order of the words, only how many pass beta.
    alpha, beta         Eq. (1) and the share of the best score that a word must exceed, both in (0, 1)
    selection           callable (P, n) -> (P, n) bool that replaces Eq. (1), e.g. ``mammi.selection.TopK(40)``; it
                        judges each neuron by itself, and of many it is given some at a time
    Returns :class:`mammi.types.Annotations`. Raises :class:`BadInput` when shapes do not fit or values are not
    finite.
    """
    a, v, t = (_array(x) for x in (activations, image_embeddings, text_embeddings))
    v, t = unit(v, "image_embeddings"), unit(t, "text_embeddings")
    check_beta(beta, "empty")
    words = tuple(words)
    if len(v) != len(a):
        raise BadInput(f"{len(a)} rows of activations but {len(v)} image embeddings: give the same images twice")
    if len(t) != len(words):
        raise BadInput(f"{len(words)} words but {len(t)} text embeddings")
    if not len(words):
        raise BadInput("no words: there is nothing to call a neuron")
    if len(set(words)) < len(words):
        raise BadInput("words repeat: " + ", ".join(sorted({w for w in words if words.count(w) > 1})[:5]))
    if v.shape[1] != t.shape[1]:
        raise BadInput(f"image embeddings have {v.shape[1]} dimensions, text embeddings {t.shape[1]}: "
                       "both must come from one dissector")
    rule = selection or Adaptive(alpha)
    selected = select(lambda some: _array(rule(some)), a)
    means = mean_rows(v, np.arange(len(v)), selected)
    scores = products(means, t)
    if template_embedding is not None:
        tem = unit(np.atleast_2d(_array(template_embedding)), "template_embedding")
        if tem.shape != (1, t.shape[1]):
            raise BadInput(f"template_embedding has shape {tem.shape}; expected one of {t.shape[1]} dimensions")
        scores -= products(means, tem)
    neurons = tuple(str(i) for i in range(a.shape[1]))
    return from_scores(scores, words, neurons, selected, a, beta)


def _array(x):
    if not hasattr(x, "detach"):
        return np.asarray(x)
    x = x.detach().cpu()
    return (x.float() if x.is_floating_point() and x.element_size() < 4 else x).numpy()  # NumPy has no bfloat16
