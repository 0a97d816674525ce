"""torchxrayvision's networks: our reading of their files against the package's own class."""
import io
import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from mammi.errors import BadInput, MissingAsset
from mammi.target import pickled_module
from mammi.target.torchxrayvision_model import CLASSES, LABELS, MODELS, PREFIX, TorchXRayVision
from mammi.types import Batch

ALL = f"{PREFIX}all"


@pytest.fixture(scope="module")
def xrv():
    import torchxrayvision

    return torchxrayvision


@pytest.fixture(scope="module")
def network(xrv):
    torch.manual_seed(0)
    network = xrv.models.DenseNet(weights=None, op_threshs=torch.rand(18)).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, .5, 1.5)
            nn.init.normal_(module.running_mean, std=.1)
            nn.init.uniform_(module.running_var, .5, 1.5)
    network.pathologies = np.array(LABELS, dtype=object)  # as old versions kept them
    return network


@pytest.fixture(scope="module")
def radiographs():
    rng = np.random.default_rng(0)
    images = tuple(Image.fromarray(rng.integers(0, 255, (224, 224), np.uint8)) for _ in range(2))
    return Batch(images, ("a", "b"), ("a", "b"))


def saved(tmp_path, content, zipped=True):
    path = tmp_path / "network.pt"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return str(path)


def old(network):
    """``network`` as torch before 1.5 held it: another backend attribute, no set of buffers that are not kept."""
    class Backend:
        def __reduce__(self):
            from torch.nn.backends.thnn import _get_thnn_function_backend

            return _get_thnn_function_backend, ()

    copy = pickle.loads(pickle.dumps(network))  # noqa: S301
    for module in copy.modules():
        module.__dict__.pop("_non_persistent_buffers_set")
        module.__dict__["_backend"] = Backend()
    return copy


@pytest.mark.parametrize("name", MODELS)
def test_labels_are_the_packages(xrv, name):
    theirs = [label.replace("_", " ").lower() for label in xrv.models.model_urls[PREFIX + name]["labels"] if label]
    assert [label.lower() for label in MODELS[name][0]] == theirs
    assert [label.replace("_", " ").lower() for label in xrv.models.DenseNet.targets] == [n.lower() for n in LABELS]


@pytest.mark.parametrize("content, zipped", [
    (lambda n: n, True), (lambda n: n, False), (old, False), (lambda n: {"model": n.state_dict()}, True)],
    ids=["module", "module, legacy format", "old module", "state dict"])
def test_it_computes_what_the_package_does(xrv, network, radiographs, tmp_path, content, zipped):
    target = TorchXRayVision(ALL, saved(tmp_path, content(network), zipped))
    got = target.read(radiographs, ["final", "penultimate"])
    x = torch.stack([torch.from_numpy(xrv.datasets.normalize(np.asarray(image), 255))[None]
                     for image in radiographs.images])
    with torch.no_grad():
        torch.testing.assert_close(target.prepare(radiographs), x, rtol=1e-6, atol=1e-3)
        pooled = network.features2(x)
        torch.testing.assert_close(got["penultimate"].pooled, pooled)
        torch.testing.assert_close(got["final"].pooled, network.classifier(pooled))
    assert target.neurons("final") == LABELS


def test_outputs_without_a_label_are_left_out(network, radiographs, tmp_path):
    path = saved(tmp_path, network)
    whole = TorchXRayVision(ALL, path).read(radiographs, ["final"])["final"].pooled
    made = {}
    for name in ("pc", "rsna"):
        target = made[name] = TorchXRayVision(PREFIX + name, path)
        kept = [LABELS.index(label) for label in MODELS[name][0]]
        got = target.read(radiographs, ["final"])["final"].pooled
        assert got.shape == (2, len(kept)) and target.neurons("final") == MODELS[name][0]
        torch.testing.assert_close(got, whole[:, kept])
    fitted = saved(tmp_path, target.module.state_dict())  # as task=fit_target saves it
    assert TorchXRayVision(f"{PREFIX}rsna", fitted).fingerprint("final") == target.fingerprint("final")
    assert {"nih14/train", "nih14/test"} <= made["rsna"].trained_on
    assert not any(name.startswith("nih14") for name in made["pc"].trained_on)


@pytest.mark.fault
def test_pixels_the_network_was_never_shown_stop_it(network, tmp_path):
    target = TorchXRayVision(ALL, saved(tmp_path, network))
    rng = np.random.default_rng(0)
    images = tuple(Image.fromarray(rng.integers(0, 255, (32, 32), np.uint8)) for _ in range(8))
    with pytest.raises(BadInput, match="another range"):  # this network's statistics are of pixels of about 1
        target.read(Batch(images, tuple("abcdefgh"), tuple("abcdefgh")), ["final"])


class Payload(nn.Module):
    def __init__(self, call, *args):
        super().__init__()
        self.reduced = call, args

    def __reduce__(self):
        return self.reduced


@pytest.mark.fault
@pytest.mark.parametrize("call, zipped", [("system", True), ("system", False), ("eval", False)])
def test_code_in_a_pickled_module_is_refused_and_never_run(tmp_path, call, zipped):
    import os

    trace = tmp_path / "trace"
    payload = Payload(os.system, f"touch {trace}") if call == "system" else Payload(eval, f"open({str(trace)!r}, 'w')")
    path = saved(tmp_path, nn.Sequential(nn.Conv2d(1, 2, 3), payload, nn.ReLU()), zipped)
    with pytest.raises(BadInput, match=f"holds more than plain tensors.*{call}.*none of it was run"):
        TorchXRayVision(ALL, path)
    assert not trace.exists()
    torch.load(path, weights_only=False)  # the trap does work
    assert trace.exists()


@pytest.mark.fault
@pytest.mark.parametrize("zipped", [True, False])
def test_another_module_is_refused_by_name(tmp_path, zipped):
    with pytest.raises(BadInput, match="names torch.nn.modules.rnn.LSTM"):
        TorchXRayVision(ALL, saved(tmp_path, nn.LSTM(2, 2), zipped))


@pytest.mark.fault
def test_files_that_do_not_fit_are_refused(network, tmp_path):
    state = {name: tensor for name, tensor in network.state_dict().items() if name != "op_threshs"}
    encoder = {name: tensor for name, tensor in state.items() if not name.startswith("classifier.")}
    colour = {**state, "features.conv0.weight": torch.zeros(64, 3, 7, 7)}
    for content, words in (
            (encoder, "no head classifier"), (colour, r"\(64, 3, 7, 7\) instead of \(64, 1, 7, 7\)"),
            ({**state, "x": torch.zeros(1)}, r"1 unexpected \(x\)"), (nn.Sequential(), "without a tensor"),
            (nn.Sequential(nn.Linear(2, 2)), "does not fit")):
        with pytest.raises(BadInput, match=words):
            TorchXRayVision(ALL, saved(tmp_path, content))


@pytest.mark.fault
@pytest.mark.parametrize("zipped, share", [(True, .5), (False, .01), (False, .5), (False, .99)])
def test_a_part_of_a_file_is_refused(tmp_path, zipped, share):
    path = saved(tmp_path, nn.Sequential(nn.BatchNorm2d(64), nn.Linear(1500, 1500)), zipped)
    with open(path, "r+b") as file:
        file.truncate(int(share * file.seek(0, 2)))
    with pytest.raises(BadInput, match="network.pt is no whole"):
        TorchXRayVision(ALL, path)


@pytest.mark.fault
@pytest.mark.parametrize("state", [None, 3, {"_modules": {"again": None}}, {"_modules": 3}])
def test_stand_ins_for_no_module_are_refused(tmp_path, monkeypatch, state):
    """A module inside itself, and states that are no modules'."""
    module = pickled_module.Inert()
    module.__setstate__(state)
    if isinstance(state, dict) and state["_modules"] != 3:
        state["_modules"]["again"] = module
    monkeypatch.setattr(pickled_module, "load", lambda *_: module)
    with pytest.raises(BadInput, match="is no module|without a tensor"):
        pickled_module.read(saved(tmp_path, {}), CLASSES)


@pytest.mark.fault
def test_absent_files_and_unknown_names(tmp_path):
    with pytest.raises(BadInput, match="target.model=densenet121-res224-nhi: Did you mean .*-nih"):
        TorchXRayVision(f"{PREFIX}nhi", None)
    for weights in (None, tmp_path / "no.pt"):
        with pytest.raises(MissingAsset, match="paths.target_weights=.*release v1 of github.com/mlmed/torchxrayvision"):
            TorchXRayVision(ALL, weights)
    with pytest.raises(MissingAsset, match="no weights file"):
        pickled_module.read(tmp_path / "no.pt", CLASSES)


def test_only_ids_of_classes_are_edited():
    """Strings called "module" elsewhere, and storages, stay as they are."""
    content = {"module": "module", "x": ("module", 1, 2, 3), "w": torch.arange(3.)}
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=False)
    file.seek(0)
    for _ in range(4):
        assert not pickled_module._edits(file)
