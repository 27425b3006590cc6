"""One answer: asked for, streamed, kept piece by piece."""
