"""Analysis of trained networks: Lipschitz constants, stability, gradients and robustness."""
