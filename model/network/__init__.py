"""The network: encoder, connector, decoder, and the whole MM1.5."""
