"""The dialog that shows a change before it runs, and the questions a change may ask."""
