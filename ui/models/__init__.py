"""The page that tells what these Sparks can run."""
