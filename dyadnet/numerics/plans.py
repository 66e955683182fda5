"""Plans: what a projection that is not dense joins, written down as whole numbers, whose first is its form.

The names below are places in a plan. `dyadnet.numerics.connections` multiplies by one.
"""

CONVOLUTION, POOLING, SPARSE, TRANSPOSED = range(4)
"""Forms of a plan."""

# A plan's form; numbers of post- and presynaptic neurons, and of parameters; room that products need.
N_FORM, N_POST, N_PRE, N_SIZE, N_ROOM = range(5)
# Of the input of a convolution or pooling: channels and size; and of its output before pooling.
N_CHANNELS, N_HEIGHT, N_WIDTH, N_FILTERS, N_DOWN, N_ACROSS = range(5, 11)
# Of its kernels: size, stride, and how far the first window begins above and to the left of the input.
N_KERNEL_HEIGHT, N_KERNEL_WIDTH, N_STRIDE, N_TOP, N_LEFT = range(11, 16)
# Of its pooling: the side of a window (1: none), and whether the largest number stands for it; for how many firings in
# a relaxation the means choose. Rows whose patches are multiplied at a time.
N_POOL, N_LARGEST, N_CHOICES, N_TOGETHER = range(16, 20)
# The side of a box, if the input is boxed (1: it is not), and how much of it lies above and to the left of the input
# at first. Channels, sizes and windows above are those of the boxed input then.
N_BOX, N_BOX_TOP, N_BOX_LEFT = range(20, 23)
# Of sparse synapses: where those of each postsynaptic neuron begin, and the end; the presynaptic neuron of each. Then
# the same by presynaptic neurons: where theirs begin, the postsynaptic neuron of each, and which synapse it is.
N_STARTS = 5
# Of a transposed projection: the plan of what is transposed.
N_INNER = 5

COLUMNS = 512
"""Columns of patches that are multiplied at a time, at least, if there are so many."""
ABREAST = 64
"""Rows for which sparse synapses are multiplied at a time."""
