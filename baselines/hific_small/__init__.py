"""HiFiC's idea on the bits of `mse` and `hfd`: a generator from ŷ, trained with MSE, LPIPS and a conditional GAN."""
