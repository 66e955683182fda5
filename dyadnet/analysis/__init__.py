"""What a trained network is like: its Lipschitz constants, stability, gradients and robustness."""
