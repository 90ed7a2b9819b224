"""edgekd.models.network: what a body is given, and what comes back."""

from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgekd.errors import UsageError
from edgekd.models.network import Network, fit, input_size, reorder
from edgekd.preprocess import Preprocess
from tests.models.nets import AS_THEY_ARE, IMAGENET, Tiny, Watched, noise, tiny


def watched(preprocess: Preprocess) -> tuple[Network, Watched]:
    """A network, and its body that keeps what it was given."""
    body = Watched()
    return Network(body, preprocess, name="watched", classes=3), body


# Preparing ------------------------------------------------------------------------------------------------------------


def test_mean_and_std_per_channel() -> None:
    """(x − mean) / std, each channel with its own."""
    network, body = watched(IMAGENET)
    images = noise(2)
    network(images)
    for channel, (mean, std) in enumerate(zip(IMAGENET.mean, IMAGENET.std, strict=True)):
        torch.testing.assert_close(body.given[:, channel], (images[:, channel] - mean) / std)


def test_one_mean_stands_for_every_channel() -> None:
    """By default images come out in [-1, 1]."""
    assert torch.equal(watched(Preprocess())[0].prepare(torch.ones(1, 3, 2, 2)), torch.ones(1, 3, 2, 2))
    assert torch.equal(watched(Preprocess())[0].prepare(torch.zeros(1, 3, 2, 2)), -torch.ones(1, 3, 2, 2))


def test_bgr_turns_the_channels_before_mean_and_std() -> None:
    """Mean and std stand in the order of `colour`: the first is blue's."""
    network, _ = watched(Preprocess(mean=(0.1, 0.2, 0.3), std=(1.0, 1.0, 2.0), colour="bgr"))
    red_green_blue = torch.tensor([0.9, 0.6, 0.4]).view(1, 3, 1, 1)
    torch.testing.assert_close(network.prepare(red_green_blue).flatten(), torch.tensor([0.3, 0.4, 0.3]))


def test_grey_of_colour_is_luma() -> None:
    """0.299 red, 0.587 green, 0.114 blue, as Pillow has it; grey stays grey."""
    grey = Preprocess(mean=(0.0,), std=(1.0,), colour="grey")
    colours = torch.eye(3).view(3, 3, 1, 1)
    torch.testing.assert_close(fit(colours, grey).flatten(), torch.tensor([0.299, 0.587, 0.114]))
    images = noise(2, channels=1)
    assert torch.equal(fit(images, grey), images)


@pytest.mark.parametrize("colour", ["rgb", "bgr"])
def test_grey_images_fill_three_channels(colour: Literal["rgb", "bgr"]) -> None:
    """A network of colour images sees the same in each."""
    images = noise(2, channels=1)
    assert torch.equal(fit(images, Preprocess(colour=colour)), images.repeat(1, 3, 1, 1))


@pytest.mark.parametrize("way", ["nearest", "bilinear", "bicubic"])
def test_other_sizes_are_resized(way: Literal["nearest", "bilinear", "bicubic"]) -> None:
    """To height and width; an even image stays even, and nothing leaves [0, 1]."""
    preprocess = Preprocess(size=(6, 10), interpolation=way)
    assert torch.allclose(fit(torch.full((1, 3, 8, 8), 0.25), preprocess), torch.tensor(0.25))
    edges = torch.zeros(1, 3, 8, 8)
    edges[..., 4:] = 1
    resized = fit(edges, preprocess)
    assert resized.shape == (1, 3, 6, 10)
    assert 0 <= float(resized.min()) < float(resized.max()) <= 1


def test_shrinking_is_antialiased() -> None:
    """Stripes of two pixels, at a quarter of their size, are grey, where the pixels in the middle are all white."""
    stripes = torch.tensor([0.0, 1.0, 1.0, 0.0]).repeat(4).expand(1, 3, 16, 16)
    assert torch.allclose(fit(stripes, Preprocess(size=(4, 4)))[..., 1:3], torch.tensor(0.5), atol=0.02)
    assert set(fit(stripes, Preprocess(size=(4, 4), interpolation="nearest")).flatten().tolist()) == {1.0}


def test_the_right_size_is_left_alone() -> None:
    """Not a bit is changed."""
    images = noise(2)
    assert torch.equal(fit(images, Preprocess(size=(4, 4), interpolation="bicubic")), images)


def test_input_size() -> None:
    """As stated, else the crop, else open."""
    assert input_size(Preprocess(size=(3, 5), crop=7)) == (3, 5)
    assert input_size(Preprocess(crop=7)) == (7, 7)
    assert input_size(Preprocess(resize=7)) is None


# The module -----------------------------------------------------------------------------------------------------------


def test_predict_takes_bytes_and_answers_logits() -> None:
    """uint8 (n, h, w, c) over 255 in, float32 out, in eval mode; the mode is as before."""
    network = tiny().train()
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3)).astype(np.uint8)
    logits = network.predict({"images": pixels})["logits"]
    assert network.training
    assert network.body.training
    with torch.no_grad():
        expected = network.eval()(torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected.numpy(), rtol=1e-5)


def test_predicting_leaves_the_statistics() -> None:
    """BatchNorm does not learn from test images."""
    network = tiny().train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.predict({"images": np.full((2, 4, 4, 3), 200, np.uint8)})
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_a_state_dict_holds_the_body_alone() -> None:
    """Mean and std are the Preprocess's, and are not trained."""
    assert set(tiny().state_dict()) == {f"body.{name}" for name in Tiny().state_dict()}


def test_channels_and_what_is_trained() -> None:
    """A grey network takes one channel; a body without weights has nothing to train."""
    assert (tiny().channels, tiny(preprocess=Preprocess(colour="grey")).channels) == (3, 1)
    assert tiny().trainable
    assert not Network(nn.Flatten(), AS_THEY_ARE, name="flat", classes=3).trainable


def test_another_preprocess_shares_the_body() -> None:
    """Nothing of the first is changed; mode, names and notes are its own."""
    network = Network(Tiny(), AS_THEY_ARE, name="tiny", classes=4, spec="own.py:net", notes=["a note"]).eval()
    other = network.with_preprocess(IMAGENET)
    assert other.body is network.body
    assert (other.preprocess, network.preprocess) == (IMAGENET, AS_THEY_ARE)
    assert (other.name, other.classes, other.spec, other.notes, other.training) == ("tiny", 4, "own.py:net", ["a note"], False)


def test_permute_reorders_the_outputs() -> None:
    """Output i becomes what output order[i] was."""
    network = tiny().eval()
    before = network(noise(2))
    network.permute([3, 1, 0, 2])
    torch.testing.assert_close(network(noise(2)), before[:, [3, 1, 0, 2]])


def test_answers_of_more_than_one_layer_are_not_reordered_in_part() -> None:
    """Two heads whose mean is the answer: to reorder one of them would leave a network of neither order."""

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other = nn.Linear(3, 4), nn.Linear(3, 4)

        def forward(self, images: Tensor) -> Tensor:
            features = images.mean((2, 3))
            answers: Tensor = (self.one(features) + self.other(features)) / 2
            return answers

    with pytest.raises(UsageError, match="as its last layer alone does not give them"):
        Network(Twice(), AS_THEY_ARE, name="twice", classes=4).permute([3, 1, 0, 2])


@pytest.mark.parametrize("preprocess", [Preprocess(mean=(0.1, 0.2, 0.3), std=(1.0,) * 3, colour="grey"), Preprocess(mean=(0.1, 0.2), std=(1.0, 1.0))])
def test_mean_and_std_of_another_number_of_channels(preprocess: Preprocess) -> None:
    """Three for grey would make three channels of one, and two fit no image."""
    with pytest.raises(UsageError, match=r"mean and std have one value, or one per channel; .*\[0\.1, 0\.2.*for \d channel\(s\)"):
        tiny(preprocess=preprocess)


# Classes --------------------------------------------------------------------------------------------------------------


def test_reorder_by_name() -> None:
    """A network of (cat, ant, dog, bee) answers in the order of the data."""
    network = tiny().eval()
    before = network(noise(2))
    reorder(network, ["cat", "ant", "dog", "bee"], ["ant", "bee", "cat", "dog"])
    torch.testing.assert_close(network(noise(2)), before[:, [1, 3, 0, 2]])


def test_the_same_order_changes_nothing() -> None:
    """Not even for a body that has no head to reorder."""
    reorder(Network(nn.Flatten(), AS_THEY_ARE, name="flat", classes=2), ["a", "b"], ["a", "b"])


@pytest.mark.parametrize(
    ("theirs", "message"),
    [
        (["ant", "bee", "fly"], r"tiny's classes must be the data's, .* missing: 'cat'; not in the data: 'fly'; twice: none"),
        (["ant", "bee"], "missing: 'cat'; not in the data: none; twice: none"),
        (["ant", "bee", "bee", "cat"], "missing: none; not in the data: none; twice: 'bee'. Correct `classes` beside its model"),
        (["ant", "bee", "cat", *"0123456789"], "not in the data: '0', .*'7' and 2 more;"),
    ],
)
def test_other_classes_are_named(theirs: list[str], message: str) -> None:
    """Those missing, those too many and those named twice."""
    with pytest.raises(UsageError, match=message):
        reorder(tiny(), theirs, ["ant", "bee", "cat"])
