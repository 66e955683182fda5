"""Arrays in, arrays out: kernels, products, draws, hashes. Knows no network."""
