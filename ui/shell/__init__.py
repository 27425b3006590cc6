"""The frame around every page: sidebar on the left, status strip on top.

Rule: it shows what `ShellModel` holds and asks the window for pages; it knows no service.
"""
