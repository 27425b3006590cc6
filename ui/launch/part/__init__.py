"""The pieces of the launch form, each a widget of its own that holds nothing of the form."""
