"""The medclip package's side of ``dissector=medclip_package``: run by the Python of its own environment.

    PYTHON -I medclip_worker.py WEIGHTS VOCABULARY DEVICE

Nothing of mammi can be imported there. Every line of standard input names a file of :func:`answer`'s request; when the
answer lies beside it, as ``answer.npz``, a line of standard output says so. What else is said goes to standard error.

The package is used as it is, which asks for three detours. Its constructors take two untrained models from the hub by
name: the working folder must be an empty one, in which models of these sizes are laid under these names, and the
package then loads them as folders. Its ``from_pretrained`` downloads where a folder is absent and reads tensors onto
the device that they were saved from: the line below it, a strict ``load_state_dict``, is called here. Its
``encode_text`` calls ``.cuda()``: its two other lines are called here.
"""
import shutil
import sys
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import torch
from medclip import MedCLIPModel, MedCLIPProcessor, MedCLIPVisionModelViT, constants
from PIL import Image
from transformers import BertConfig, BertModel, SwinConfig, SwinModel

CASED = 28996  # tokens of Bio_ClinicalBERT; all else of both networks is the default of its configuration


def load(weights, vocabulary, device):
    """(the package's model, its processor), out of files of this machine."""
    BertModel(BertConfig(vocab_size=CASED)).save_pretrained(constants.BERT_TYPE)
    SwinModel(SwinConfig()).save_pretrained(constants.VIT_TYPE)
    shutil.copyfile(vocabulary, Path(constants.BERT_TYPE, "vocab.txt"))
    model = MedCLIPModel(vision_cls=MedCLIPVisionModelViT)
    model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    processor = MedCLIPProcessor()
    for name in (constants.BERT_TYPE, constants.VIT_TYPE):
        shutil.rmtree(name)
    return model.eval().to(device), processor


@torch.no_grad()
def answer(request, model, processor, device):
    """{name: array}.

    request  {"texts": (n,) of strings}, or {"image0": (H, W) or (H, W, 3) of uint8, "image1": ...}

    For texts ``embeddings`` (n, 512) float32, unit norm, each text alone, for padding would change it; for images
    ``pixels`` (n, 1, 224, 224) float32 besides, as the processor prepares them.
    """
    if "texts" in request:
        found = []
        for text in request["texts"].tolist():
            tokens = processor(text=[text], return_tensors="pt", truncation=True).to(device)
            one = model.text_model(tokens["input_ids"], tokens["attention_mask"])
            found.append(one / one.norm(dim=-1, keepdim=True))
        return {"embeddings": torch.cat(found).cpu().numpy()}
    images = [Image.fromarray(request[f"image{i}"]) for i in range(len(request))]
    pixels = processor(images=images, return_tensors="pt")["pixel_values"]
    return {"embeddings": model.encode_image(pixels.to(device)).cpu().numpy(), "pixels": pixels.numpy()}


def main(weights, vocabulary, device):
    with redirect_stdout(sys.stderr):  # standard output is for the answers
        model, processor = load(weights, vocabulary, device)
    for line in sys.stdin:
        path = Path(line.rstrip("\n"))
        with np.load(path) as request, redirect_stdout(sys.stderr):
            np.savez(path.with_name("answer.npz"), **answer(dict(request), model, processor, device))
        print("answered", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
