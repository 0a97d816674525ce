"""A fitted decoder as a file: its weights in 16 bits, and the card that says what it was fitted on."""
import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from mammi.errors import BadInput, MissingAsset
from mammi.explainer.decoder import Decoder
from mammi.files import replacing

SHIPPED = Path(__file__).parents[1] / "phantom" / "weights"
CARD = ("target", "fingerprint", "layer", "units", "unit_names", "rules", "features", "decoder")


def save(decoder, path, card):
    """Write ``decoder`` with its ``card`` (JSON-able, with the keys ``CARD``) inside; statistics keep their 32 bits."""
    state = {name: tensor.detach().cpu() for name, tensor in decoder.state_dict().items()}
    state = {name: tensor.half().contiguous() if tensor.ndim > 1 else tensor for name, tensor in state.items()}
    with replacing(path) as part:
        save_file(state, part, {"card": json.dumps(card)})


def read(path):
    """(:class:`Decoder` in evaluation mode, its card) of a file; :class:`BadInput` for one that is not whole."""
    try:
        with safe_open(path, "pt") as file:
            card = json.loads((file.metadata() or {}).get("card", "{}"))
            state = {key: file.get_tensor(key) for key in file.keys()}
    except (SafetensorError, OSError, ValueError) as error:
        raise BadInput(f"explainer.weights: {path} is no safetensors file ({error})") from None
    if lost := [key for key in CARD if key not in card]:
        raise BadInput(f"explainer.weights: {path} has no card that tells {lost[0]}; it is no decoder of "
                       "task=fit_explainer")
    if broken := [key for key, tensor in state.items() if not tensor.isfinite().all()]:
        raise BadInput(f"explainer.weights: {path} holds NaN or infinity ({broken[0]}): its training has diverged")
    decoder = Decoder(**card["decoder"])
    try:
        decoder.load_state_dict(state)
    except RuntimeError as error:
        raise BadInput(f"explainer.weights: {path} does not fit its card:{str(error).splitlines()[1]}") from None
    return decoder.eval(), card


def located(weights):
    """Path of a decoder's file: a bare name is among the shipped ones."""
    path = Path(weights).expanduser() if weights is not None else SHIPPED / "null"
    if path.name == str(weights):
        path = SHIPPED / path
    if not path.is_file():
        shipped = ", ".join(sorted(p.name for p in SHIPPED.glob("nemt_*.safetensors"))) or "none"
        raise MissingAsset(f"explainer.weights: there is no {path}. Shipped: {shipped}. Next: python run.py "
                           "task=fit_explainer, then the path of the weights.safetensors it writes")
    return path
