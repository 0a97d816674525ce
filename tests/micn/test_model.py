"""The network and its losses against plain loops; a planted rule is found again."""
import math

import numpy as np
import pytest
import torch

from mammi.errors import BadInput
from mammi.micn.model import ConceptEncoder, MedMICN, losses
from mammi.micn.rules import global_rules, local_rules, measures
from mammi.micn.train import Recipe, fit, predict
from tests.micn.worlds import WORDS, planted


def leaky(x):
    return x if x > 0 else .01 * x


def test_the_encoder_against_a_plain_loop():
    torch.manual_seed(0)
    n, e = 3, 2
    encoder = ConceptEncoder(5, n, e, width=4).double().eval()
    x = torch.randn(2, 5, dtype=torch.float64)
    with torch.no_grad():
        embeddings, logits = encoder(x)
    state = {key: value.numpy() for key, value in encoder.state_dict().items()}
    for b in range(2):
        hidden = [leaky(v) for v in state["trunk.0.weight"] @ x[b].numpy() + state["trunk.0.bias"]]
        for i in range(n):
            rows = slice(2 * e * i, 2 * e * (i + 1))  # concept i has a linear map of its own
            context = [leaky(v) for v in state["contexts.weight"][rows] @ hidden + state["contexts.bias"][rows]]
            logit = state["predictor.weight"][0] @ context + state["predictor.bias"][0]
            c = 1 / (1 + math.exp(-logit))
            assert logits[b, i].item() == pytest.approx(logit)
            np.testing.assert_allclose(embeddings[b, i], [c * context[k] + (1 - c) * context[e + k] for k in range(e)])


@pytest.mark.parametrize("paper", [False, True])
def test_the_losses_against_a_plain_loop(paper):
    torch.manual_seed(0)
    with torch.no_grad():
        output = MedMICN(6, 4, 3).double()(torch.randn(5, 6, dtype=torch.float64))
    y, labels = torch.tensor([0, 2, 1, 1, 0]), torch.tensor(np.random.default_rng(0).integers(0, 2, (5, 4)) * 1.0)
    labels[0, 1] = math.nan
    found = losses(output, y, labels, paper=paper, lambda1=.2, lambda2=.3)
    scores = output.scores.sigmoid() if paper else output.scores
    task = np.mean([-scores[b, y[b]].item() + math.log(sum(math.exp(s) for s in scores[b])) for b in range(5)])
    pairs = zip(output.concepts.flatten().tolist(), labels.flatten().tolist())
    terms = [-math.log(c if t else 1 - c) for c, t in pairs if not math.isnan(t)]
    truth = output.reasoning.truth
    rules = np.mean([-math.log(truth[b, j].item() if y[b] == j else 1 - truth[b, j].item())
                     for b in range(5) for j in range(3)])
    assert found["task"].item() == pytest.approx(task)
    assert found["concepts"].item() == pytest.approx(np.mean(terms)) and len(terms) == 19
    assert found["rules"].item() == pytest.approx(rules, rel=1e-9)
    assert found["total"].item() == pytest.approx(task + .2 * np.mean(terms) + .3 * rules, rel=1e-5)


def test_detached_rules_do_not_pull_at_the_concepts():
    for detach in (False, True):
        torch.manual_seed(0)
        model = MedMICN(6, 4, 2, detach=detach)
        model(torch.randn(5, 6)).reasoning.truth.sum().backward()
        assert (model.encoder.contexts.weight.grad is None) == detach
        assert any(p.grad is not None for p in model.reasoner.parameters())


@pytest.mark.fault
def test_a_batch_of_one_class_and_of_one_image():
    model = MedMICN(6, 4, 3).train()
    for n in (4, 1):
        total = losses(model(torch.randn(n, 6)), torch.ones(n, dtype=torch.long), torch.ones(n, 4))["total"]
        total.backward()
        assert torch.isfinite(total)


def trained(x, c, y, temperature=1.0, epochs=25, t_norm="product"):
    torch.manual_seed(0)
    x, c, y = torch.from_numpy(x), torch.from_numpy(c), torch.from_numpy(y)
    model = MedMICN(64, 8, 2, temperature=temperature, t_norm=t_norm)
    model.scale.fit(x[:1000])

    def loss(at):
        return losses(model(x[at]), y[at], c[at])["total"]

    fit(model, loss, lambda: loss(np.arange(1000, 1200)).item(), 1000, Recipe(5e-3, epochs, patience=None), 0)
    scores, concepts, *reasoning = predict(model, x[1200:], 300, lambda o: (o.scores, o.concepts, *o.reasoning))
    return scores.argmax(1), concepts, reasoning


def test_a_planted_rule_is_recovered_and_concepts_keep_their_meaning():
    x, c, y = planted()
    said, concepts, reasoning = trained(x, c, y)
    truth = y[1200:]
    assert (said == truth).mean() > .97 and ((concepts > .5) == c[1200:]).mean() > .97
    rules = local_rules(reasoning)
    facts = {name: np.nanmean(values) for name, values in measures(rules, reasoning[0], said).items()}
    assert facts["rule_fidelity"] > .97 and facts["rule_coverage"] > .97 and facts["rule_length"] < 7
    table = global_rules(rules, truth, c[1200:], ("no", "yes"), WORDS)
    assert np.average(table["right_by_labels"].fillna(0), weights=table["images"]) > .95


def test_the_most_frequent_rule_is_the_planted_one():
    """yes <=> c0 and not c1, or c2; the shortest conjunction that makes sure of "no" is: not c0 and not c2."""
    x, c, y = planted()
    _, concepts, reasoning = trained(x, c, y, temperature=.5)
    table = global_rules(local_rules(reasoning), y[1200:], c[1200:], ("no", "yes"), WORDS)
    first = table[table["class"] == "no"].iloc[0]
    assert first["rule"] == "no <= not c0 and not c2" and first["right_by_labels"] == 1
    assert ((concepts > .5) == c[1200:]).mean() > .97


def test_at_the_published_temperature_rules_name_every_concept():
    x, c, y = planted()
    said, _, reasoning = trained(x, c, y, temperature=100.0, epochs=5, t_norm="godel")
    rules = local_rules(reasoning)
    assert reasoning[1].min() == 1
    assert {len(rule.literals) for own in rules for rule in own} == {8}


@pytest.mark.fault
@pytest.mark.parametrize("options, words", [({"e": 0}, "task.head.e"), ({"width": 2.5}, "task.head.width"),
                                            ({"hidden": 0}, "task.head.hidden"), ({"dropout": 1}, "task.head.dropout")])
def test_bad_options_teach(options, words):
    with pytest.raises(BadInput, match=words):
        MedMICN(6, 4, 2, **options)


@pytest.mark.fault
def test_training_that_diverges_is_told():
    model = torch.nn.Linear(2, 1)
    with pytest.raises(BadInput, match="diverged"):
        fit(model, lambda at: model(torch.full((len(at), 2), math.nan)).sum(), lambda: 0, 4, Recipe(1e-3, 2), 0)
