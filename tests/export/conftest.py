"""The models that several tests of files begin with; none of them changes one."""

import onnx
import pytest

from edgekd.export.onnx import to_onnx
from tests.export.nets import Toy, Wide, network


@pytest.fixture(scope="session")
def toy() -> onnx.ModelProto:
    """A Toy in fp32, any batch."""
    return to_onnx(Toy(), (3, 8, 8), opset=20, batch=None)


@pytest.fixture(scope="session")
def wide() -> onnx.ModelProto:
    """A Wide in fp32."""
    return to_onnx(Wide(), (3, 8, 8), opset=20, batch=None)


@pytest.fixture(scope="session")
def trained() -> onnx.ModelProto:
    """The body of `nets.network()` in fp32, any batch."""
    return to_onnx(network().body, (3, 8, 8), opset=20, batch=None)
