"""What an answer says, laid out: Markdown, formulas, code with its colours, links. All of it is hostile."""
