"""The harness, and the codec that it exists for."""

import warnings

# CompressAI decorates with it when it is imported; nothing that a user of this suite could mend
warnings.filterwarnings("ignore", message=r"`torch\.jit\.script` is deprecated", category=FutureWarning)
