import torch

from benchmark.hfd.deterministic import on_one_thread
from benchmark.hfd.unet import UNet


def test_same_floats_on_any_thread_count() -> None:
    torch.manual_seed(0)
    unet = UNet().eval()
    for parameter in unet.parameters():
        if parameter.ndim > 1:
            torch.nn.init.kaiming_normal_(parameter, nonlinearity="linear")
    z, x_hat = (torch.randn(1, 3, 208, 272) for _ in range(2))
    results = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3, 8):
            torch.set_num_threads(threads)
            with torch.inference_mode(), on_one_thread():
                results.append(unet(z, x_hat, torch.tensor([0.3]), torch.tensor([0.5])))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(result, results[0]) for result in results)
