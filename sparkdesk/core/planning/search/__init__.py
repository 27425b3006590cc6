"""Every way to serve a model: asked, found, ranked, explained and written out."""
