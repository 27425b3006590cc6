"""The bring-up page: from boxes on a desk to a proven cluster, read before it runs and undone afterwards."""
