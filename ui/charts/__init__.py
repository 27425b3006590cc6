"""Any metric of any node, deployment or server over time: the third tab of the cluster page."""
