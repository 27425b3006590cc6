"""Bring-up: from boxes on a desk to a proven cluster. Pure: what was read becomes a matrix, one plan, and its proof."""
