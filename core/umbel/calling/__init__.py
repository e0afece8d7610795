"""How a call becomes a publication: options, routing, encoding, and the publisher."""
