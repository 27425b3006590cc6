"""How fast a setup is: what each phase reads, computes and sends, and how well that is known."""
