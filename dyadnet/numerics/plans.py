"""Plans: integer arrays that describe the connections of projections that are not dense; the first number is the form.

The constants below are indices into a plan. `dyadnet.numerics.connections` computes products from plans.
"""

CONVOLUTION, POOLING, SPARSE, TRANSPOSED = range(4)
"""Forms of a plan."""

# A plan's form; numbers of post- and presynaptic neurons and of parameters; scratch that products need, in numbers.
N_FORM, N_POST, N_PRE, N_SIZE, N_ROOM = range(5)
# Input of a convolution or pooling: channels, height, width. Its output before pooling: filters, height, width.
N_CHANNELS, N_HEIGHT, N_WIDTH, N_FILTERS, N_DOWN, N_ACROSS = range(5, 11)
# Kernels: size, stride, and how far the first window begins above and to the left of the input.
N_KERNEL_HEIGHT, N_KERNEL_WIDTH, N_STRIDE, N_TOP, N_LEFT = range(11, 16)
# Pooling: side of a window (1: none); whether its largest number is taken (else the mean); number of firings in a
# relaxation during which the means set the switches. Then the number of rows whose patches are multiplied at a time.
N_POOL, N_LARGEST, N_CHOICES, N_TOGETHER = range(16, 20)
# Side of a box, if the input is boxed (1: it is not), and how far the first box begins above and to the left of the
# input. For a boxed input the channels, sizes and windows above are those after boxing.
N_BOX, N_BOX_TOP, N_BOX_LEFT = range(20, 23)
# Sparse synapses: where those of each postsynaptic neuron begin, and the end; the presynaptic neuron of each synapse.
# Then the same by presynaptic neuron: where they begin, and the postsynaptic neuron and the index of each synapse.
N_STARTS = 5
# A transposed projection: where the plan of the original projection begins.
N_INNER = 5

COLUMNS = 512
"""Least number of columns of patches that are multiplied at a time, if there are that many."""
ABREAST = 64
"""Number of rows for which sparse synapses are multiplied at a time."""
