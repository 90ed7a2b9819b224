"""edgekd.models.deit: DeiT for small images, by count, by torchvision's ViT, by trace and by export."""

import numpy as np
import pytest
import torch
from torch import Tensor, fx, nn
from torchvision.models import VisionTransformer

from edgekd.errors import UsageError
from edgekd.export.feed import open_session
from edgekd.export.onnx import to_onnx
from edgekd.models.count import macs
from edgekd.models.deit import Deit, _Attention, _positions
from edgekd.models.load import build
from edgekd.models.network import Network
from edgekd.models.small import factory
from edgekd.preprocess import Preprocess

CLASSES = 3


def tiny(*, depth: int = 2, distilled: bool = False, channels: int = 3) -> Deit:
    """Blocks of two heads, 16 wide, with positions and tokens that tell apart what they are added to."""
    torch.manual_seed(0)
    body = Deit(depth, 16, CLASSES, channels, heads=2, distilled=distilled).eval()
    for parameter in body.parameters():
        nn.init.normal_(parameter, std=0.3)
    return body


def noise(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1))


def made(name: str, classes: int = 10) -> nn.Module:
    """A network of shapes and no numbers."""
    make = factory(name)
    assert make is not None
    with torch.device("meta"):
        return make(classes, 3).eval()


@pytest.mark.parametrize(("name", "parameters"), [("cifar-deit-ti", 5_380_132), ("cifar-deit-ti-distilled", 5_399_716)])
def test_parameters_as_counted_by_hand(name: str, parameters: int) -> None:
    """With 100 classes: 9,408 in the patches, 65 positions, 12 blocks of 444,864; a second token has its position and doubles the head."""
    assert sum(parameter.numel() for parameter in made(name, 100).parameters()) == parameters


def test_macs_as_counted_by_hand() -> None:
    """64 patches of 48 values, then in each block 65 tokens through 12·192² weights and 2·65²·192 in attention."""
    network = Network(made("cifar-deit-ti"), Preprocess(size=(32, 32)), name="deit", classes=10)
    assert macs(network, (32, 32, 3)) == 64 * 48 * 192 + 12 * (65 * 12 * 192**2 + 2 * 65**2 * 192) + 192 * 10


def test_weights_are_called_as_in_the_checkpoints_in_circulation() -> None:
    """timm's and DeiT's own names."""
    wanted = {"cls_token", "pos_embed", "patch_embed.proj.weight", "blocks.11.attn.qkv.bias", "blocks.0.attn.proj.weight", "blocks.3.mlp.fc2.weight"}
    assert wanted | {"norm.weight", "head.weight"} <= set(made("cifar-deit-ti").state_dict())
    assert "dist_token" in made("cifar-deit-ti-distilled").state_dict()


def test_names_with_numbers() -> None:
    """Any depth, any width of whole heads of 64."""
    body = made("cifar-deit-2-128-distilled")
    assert isinstance(body, Deit)
    attention = body.get_submodule("blocks.1.attn")
    assert isinstance(attention, _Attention)
    assert (len(body.blocks), attention.num_heads, body.distilled) == (2, 2, True)
    assert [factory(f"cifar-deit-{wrong}") for wrong in ("0-64", "2-65", "2-0", "2", "2-64-distilled-", "s")] == [None] * 6


def test_it_is_torchvisions_transformer() -> None:
    """The same logits from the same weights, given to torchvision's ViT by its own names."""
    body = tiny()
    other = VisionTransformer(image_size=32, patch_size=4, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=64, num_classes=CLASSES).eval()
    names = {
        "patch_embed.proj": "conv_proj",
        "cls_token": "class_token",
        "pos_embed": "encoder.pos_embedding",
        "blocks.": "encoder.layers.encoder_layer_",
        "attn.qkv.": "self_attention.in_proj_",
        "attn.proj": "self_attention.out_proj",
        "norm1": "ln_1",
        "norm2": "ln_2",
        "mlp.fc1": "mlp.0",
        "mlp.fc2": "mlp.3",
        "head.": "heads.head.",
        "norm.": "encoder.ln.",
    }
    state = {}
    for name, tensor in body.state_dict().items():
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)
        state[name] = tensor
    other.load_state_dict(state)
    images = noise(2, 3, 32, 32)
    torch.testing.assert_close(body(images), other(images), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("distilled", [False, True])
def test_images_of_other_sizes(distilled: bool) -> None:
    """Square or not, in colour or grey, in steps of 4 px."""
    for channels, size in ((3, (8, 8)), (1, (28, 28)), (3, (12, 40))):
        assert tiny(distilled=distilled, channels=channels)(noise(2, channels, *size)).shape == (2, CLASSES)


def test_positions_of_another_size_are_interpolated() -> None:
    """At 32 px they are as learnt; elsewhere what rises still does, about the same mean, and what stands before the patches keeps its own."""
    slope = torch.arange(8.0).repeat(8)
    learnt = torch.cat((torch.tensor([9.0]), slope)).view(1, 65, 1)
    assert _positions(learnt, torch.zeros(1, 3, 32, 32)) is learnt
    found = _positions(learnt, torch.zeros(1, 3, 32, 64)).flatten()
    assert found[0] == 9
    row = found[1:17]
    torch.testing.assert_close(found[1:], row.repeat(8))
    assert (row.diff() > 0).all()
    assert row.mean().item() == pytest.approx(3.5)


def test_a_size_that_is_no_whole_number_of_patches_is_refused() -> None:
    """Before anything is taught, with the remedy."""
    with pytest.raises(UsageError, match=r"cifar-deit-1-64 .* of 30x32 fails: .* must be multiples of 4, got 30x32\. State size = \[H, W\]"):
        build("cifar-deit-1-64", classes=2, shape=(30, 32, 3))


def test_the_two_heads_mean_the_logits() -> None:
    """Each answers from its own token, and the network answers their mean."""
    body = tiny(distilled=True)
    given: list[Tensor] = []
    hook = body.head.register_forward_pre_hook(lambda module, inputs: given.append(inputs[0]))
    logits = body(noise(4, 3, 16, 16))
    hook.remove()
    label, distillation = body.apart(given[0])
    torch.testing.assert_close((label + distillation) / 2, logits)
    torch.testing.assert_close(label, given[0][:, :16] @ (2 * body.head.weight[:, :16]).T + body.head.bias)
    assert not torch.allclose(label, distillation)


@pytest.mark.parametrize("distilled", [False, True])
def test_every_weight_is_reached(distilled: bool) -> None:
    """The gradient of the logits is not zero in any tensor of weights."""
    body = tiny(distilled=distilled).train()
    (body(noise(4, 3, 16, 16)) * noise(4, CLASSES)).sum().backward()
    assert [name for name, weight in body.named_parameters() if weight.grad is None or not weight.grad.any()] == []


@pytest.mark.parametrize("distilled", [False, True])
def test_a_trace_answers_the_same(distilled: bool) -> None:
    """torch.fx takes it, for any batch and size; a size that does not fit is refused in words there too."""
    body = tiny(distilled=distilled)
    traced = fx.symbolic_trace(body)
    for shape in ((1, 3, 32, 32), (3, 3, 16, 8)):
        assert torch.equal(traced(noise(*shape)), body(noise(*shape)))
    with pytest.raises(UsageError, match="multiples of 4, got 32x30"):
        traced(noise(1, 3, 32, 30))


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("distilled", "side"), [pytest.param(False, 32, marks=pytest.mark.slow), (True, 16)])
def test_an_export_answers_the_same(distilled: bool, side: int) -> None:
    """In ONNX Runtime, at batches that it was not exported with."""
    body = tiny(depth=1, distilled=distilled)
    session = open_session(to_onnx(body, (3, side, side), opset=20, batch=None).SerializeToString(), "deit")
    for batch in (1, 2, 7):
        images = noise(batch, 3, side, side)
        (answer,) = session.run(None, {"images": images.numpy()})
        np.testing.assert_allclose(answer, body(images).detach().numpy(), atol=1e-4)


def test_it_learns_what_is_shown_to_it() -> None:
    """A handful of images, a few steps of Adam: the loss falls by half."""
    torch.manual_seed(0)
    body = Deit(1, 16, CLASSES, 3, heads=2, distilled=True).train()
    images, labels = noise(12, 3, 8, 8), torch.arange(12) % CLASSES
    optimizer = torch.optim.Adam(body.parameters(), lr=2e-3)
    losses = []
    for _ in range(40):
        loss = nn.functional.cross_entropy(body(images), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2
