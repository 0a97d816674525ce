"""Float32 that is float32 on a GPU, too."""


def full_precision():
    """A context without TF32 in convolutions, which cuDNN takes for float32; PyTorch's matrix products have none
    unless asked for. For numbers that another machine must meet, such as golden embeddings.

    What it changes on a GPU was not measured: there was none.
    """
    from torch.backends import cudnn

    return cudnn.flags(enabled=cudnn.enabled, benchmark=cudnn.benchmark, deterministic=cudnn.deterministic,
                       allow_tf32=False)
