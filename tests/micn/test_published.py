import pytest

from mammi.errors import BadInput
from mammi.micn.published import BACKBONES, plan, setting


@pytest.mark.parametrize("name, lr, width, hidden, dropout", [
    ("resnet50", 5e-5, 10, None, 0), ("vgg19", 5e-6, 10, None, 0), ("densenet169 (random weights)", 1e-4, 128, 64, 0),
    ("vit_small_patch14_dinov2.lvd142m", 1e-6, 256, 64, .1)])
def test_the_published_settings(name, lr, width, hidden, dropout):
    head, recipe, notes = plan("paper", True, {}, {}, name)
    assert (recipe.lr, recipe.epochs, recipe.batch_size, recipe.weight_decay) == (lr, 100, 32, .01)
    assert (head["width"], head["hidden"], head["dropout"], head["e"]) == (width, hidden, dropout, 8)
    assert head["temperature"] == 100 and head["t_norm"] == "godel" and recipe.patience is None
    assert not recipe.shuffle and not recipe.eval and len(notes) == 1


def test_mode_fixed_and_what_was_given():
    given = {"temperature": .5, "width": None}
    head, recipe, notes = plan("fixed", False, given, {"lr": .1, "patience": None}, "phantom")
    assert head == {"e": 8, "width": 128, "hidden": 64, "dropout": 0, "temperature": .5, "t_norm": "product",
                    "detach": False}
    assert recipe.lr == .1 and recipe.patience == 10 and recipe.shuffle and recipe.eval and not notes
    assert plan("fixed", True, {}, {}, "vgg19")[1].lr == BACKBONES["vgg19"].lr
    assert plan("fixed", True, None, None, "phantom")[1].lr == 1e-4


def test_an_unknown_backbone_is_told_in_mode_paper():
    assert setting("resnet18") is None
    _, _, notes = plan("paper", False, {}, {}, "resnet18")
    assert any("nothing is published for resnet18" in note for note in notes)
    assert any("features are fixed" in note for note in notes)


@pytest.mark.fault
@pytest.mark.parametrize("mode, finetune, head, training, words", [
    ("best", False, {}, {}, "fixed"), ("fixed", 1, {}, {}, "true or false"),
    ("fixed", False, {"tnorm": 1}, {}, "t_norm"),
    ("fixed", False, {}, {"epochs": 0}, "task.training.epochs"), ("fixed", False, {}, {"shuffle": True}, "no such")])
def test_bad_options_teach(mode, finetune, head, training, words):
    with pytest.raises(BadInput, match=words):
        plan(mode, finetune, head, training, "resnet50")
